"""The exact cache's rules: keys, eligibility, Cache-Control and which answers are kept."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optimizer.caching import (
    TRANSPORT_FIELDS,
    DocumentTooDeepError,
    plan_cache,
    request_digest,
    scope_parts,
)
from optimizer.decision import bypass_plan
from policies.model import CacheRule
from tests.optimizer.samples import make_facts

KEY = b"k" * 32
SCOPE = ("user", "acme", "key-1", "alice")
DOC: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "temperature": 0,
    "seed": 7,
    "n": 1,
    "max_tokens": 10,
}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip
documents = st.dictionaries(
    st.sampled_from((*DOC, "input", "functions", "new_field")) | st.text(max_size=5), values
)


def key_of(doc: dict[str, Any], scope: tuple[str, ...] = SCOPE) -> str:
    return request_digest(doc, "chat", "gpt-4o", KEY, scope).request_key


def shuffled(value: Any, rng: random.Random) -> Any:
    """An equal document whose objects list their keys in another order, at every depth."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(documents, st.randoms(use_true_random=False))
def test_the_order_of_object_keys_does_not_matter(doc: dict[str, Any], rng: random.Random) -> None:
    assert key_of(shuffled(doc, rng)) == key_of(doc)


@given(documents, st.sampled_from(sorted(TRANSPORT_FIELDS)), values)
def test_transport_fields_do_not_matter(doc: dict[str, Any], field: str, value: object) -> None:
    assert key_of({**doc, field: value}) == key_of({**doc, field: None}) == key_of(doc)


@given(documents, documents)
def test_any_other_difference_changes_the_key(one: dict[str, Any], two: dict[str, Any]) -> None:
    for doc in (one, two):
        for field in (*TRANSPORT_FIELDS, "model"):
            doc.pop(field, None)
    assume(
        orjson.dumps(one, option=orjson.OPT_SORT_KEYS)
        != orjson.dumps(two, option=orjson.OPT_SORT_KEYS)
    )
    assert key_of(one) != key_of(two)


@pytest.mark.parametrize("field", [name for name in DOC if name != "model"])
def test_each_field_counts(field: str) -> None:
    without = {name: value for name, value in DOC.items() if name != field}
    keys = {key_of(DOC), key_of(without), key_of({**DOC, field: None})}
    assert len(keys) == 3


def test_message_order_and_tool_call_ids_count() -> None:
    first, second = {"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "1"}
    orders = [[first, second], [second, first], [first, {**second, "tool_call_id": "2"}]]
    assert len({key_of({"messages": order}) for order in orders}) == 3


def test_the_model_that_is_called_counts_and_the_requested_one_does_not() -> None:
    same = request_digest({**DOC, "model": "alias"}, "chat", "gpt-4o", KEY, SCOPE)
    assert same.request_key == key_of(DOC)
    other = request_digest(DOC, "chat", "gpt-4o-mini", KEY, SCOPE)
    assert other.request_key != same.request_key
    assert other.prefix_blocks == same.prefix_blocks


def test_encoding_format_of_embeddings_counts() -> None:
    keys = {
        request_digest({"input": "a", **more}, "embeddings", "m", KEY, SCOPE).request_key
        for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"})
    }
    assert len(keys) == 3
    chat = request_digest({"input": "a"}, "chat", "m", KEY, SCOPE).request_key
    assert chat not in keys


word = st.text(max_size=6)


@given(
    st.tuples(st.sampled_from(("user", "key", "tenant")), word, word, word),
    st.tuples(st.sampled_from(("user", "key", "tenant")), word, word, word),
)
def test_different_scopes_never_share_a_key(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    first, second = scope_parts(*one), scope_parts(*two)
    assert (key_of(DOC, first) == key_of(DOC, second)) == (first == second)


def test_scopes_are_as_wide_as_they_say() -> None:
    assert scope_parts("tenant", "acme", "k", "u") == ("tenant", "acme")
    assert scope_parts("key", "acme", "k", "u") == ("key", "acme", "k")
    assert scope_parts("user", "acme", "k", "u") == ("user", "acme", "k", "u")


def test_tenants_have_keys_of_their_own() -> None:
    long_doc = {"messages": [{"role": "user", "content": "x" * 10_000}]}
    one = request_digest(long_doc, "chat", "m", b"1" * 32, ("tenant", "acme"))
    two = request_digest(long_doc, "chat", "m", b"2" * 32, ("tenant", "acme"))
    assert one.request_key != two.request_key
    assert one.prefix_blocks
    assert not set(one.prefix_blocks) & set(two.prefix_blocks)


def test_a_growing_conversation_shares_prefix_blocks() -> None:
    opening = {"role": "system", "content": "x" * 9000}
    short = request_digest({"messages": [opening]}, "chat", "m", KEY, SCOPE)
    messages = [opening, {"role": "user", "content": "y" * 9000}]
    grown = request_digest({"messages": messages}, "chat", "m", KEY, SCOPE)
    assert grown.prefix_blocks[: len(short.prefix_blocks)] == short.prefix_blocks
    assert len(grown.prefix_blocks) > len(short.prefix_blocks)


@pytest.mark.parametrize("field", ["messages", "metadata2"])
def test_a_document_too_deep_is_refused(field: str) -> None:
    doc = orjson.loads(b'{"%s":' % field.encode() + b"[" * 300 + b"]" * 300 + b"}")
    with pytest.raises(DocumentTooDeepError):
        key_of(doc)


@pytest.mark.parametrize(
    ("rule", "facts", "reason"),
    [
        (None, {}, "no_rule"),
        (CacheRule(), {"is_deterministic": False}, "not_deterministic"),
        (CacheRule(), {"allows_store": False}, "provider_stores"),
        (CacheRule(when="always"), {"allows_store": False}, "provider_stores"),
        (CacheRule(), {"cache_control": "no-store"}, "no_store"),
        (CacheRule(), {"cache_control": "max-age=5, No-Store"}, "no_store"),
    ],
)
def test_refusals(rule: CacheRule | None, facts: dict[str, Any], reason: str) -> None:
    assert plan_cache(make_facts(**facts), rule) == bypass_plan(reason)


def test_an_eligible_request_reads_writes_and_joins() -> None:
    rule = CacheRule(ttl_s=60, scope="tenant", when="always")
    plan = plan_cache(make_facts(is_deterministic=False), rule)
    assert plan.reads
    assert plan.writes
    assert plan.joins_flights
    assert (plan.ttl_s, plan.scope, plan.max_age_s, plan.reason) == (60, "tenant", None, "eligible")


@pytest.mark.parametrize(
    ("header", "max_age_s"),
    [
        ("no-cache", 0),
        ("No-Cache", 0),
        ("max-age=0", 0),
        ("max-age=60", 60),
        ('max-age="60"', 60),
        ("max-age=60, no-cache", 0),
        ("max-age=soon", 0),
        ("max-age=", 0),
        ("max-age=-1", 0),
        ("max-age=99999999999999999999", 999_999_999_999),
        ("no-transform", None),
        ("", None),
    ],
)
def test_cache_control_narrows_what_may_be_read(header: str, max_age_s: int | None) -> None:
    plan = plan_cache(make_facts(cache_control=header), CacheRule())
    assert plan.max_age_s == max_age_s
    assert plan.reads == plan.joins_flights == (max_age_s != 0)
    assert plan.writes


GOLDEN: dict[str, Any] = {
    "model": "gpt-4o",
    "stream": True,
    "user": "u",
    "messages": [
        {"role": "system", "content": "be kind " * 400},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "data:x"}},
            ],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "temperature": 0,
}


def test_keys_of_chat_and_embeddings_are_what_they_were() -> None:
    """Computed before other dialects had keys: an upgrade must not empty anybody's cache."""
    chat = request_digest(GOLDEN, "chat", "gpt-4o", KEY, ("tenant", "acme"))
    assert chat == ("1080b296a18de4079aae9573dce5e17e", ["647f28cdbacf022f"])
    doc = {"model": "m", "input": ["a", "b"], "user": "u", "stream": True}
    embeddings = request_digest(doc, "embeddings", "m", KEY, ("tenant", "acme"))
    assert embeddings == ("22265b93a47b9c81f3000f7b2e4b353e", [])


@pytest.mark.parametrize(
    ("endpoint", "prompt"),
    [
        ("responses", {"instructions": "i", "input": "hello"}),
        ("messages", {"system": "s", "messages": [{"role": "user", "content": "hello"}]}),
        ("completions", {"prompt": "hello"}),
        ("gemini", {"contents": [{"parts": [{"text": "hello"}]}]}),
    ],
)
def test_other_dialects_keep_streams_and_documents_apart(
    endpoint: str, prompt: dict[str, Any]
) -> None:
    def key(doc: dict[str, Any], **more: bool) -> str:
        return request_digest(doc, endpoint, "m", KEY, SCOPE, **more).request_key

    assert key(prompt) == key({**prompt, "stream": False})
    assert key(prompt) != key({**prompt, "stream": True})
    assert key({**prompt, "stream": True}) == key(prompt, is_streaming=True)
    assert len({key({**prompt, name: "else"}) for name in (*prompt, "new_field")}) == 3 - (
        len(prompt) == 1
    )


@pytest.mark.parametrize(
    ("endpoint", "before", "after"),
    [
        ("responses", {"instructions": "x" * 9000}, {"input": "y" * 9000}),
        ("messages", {"system": "x" * 9000}, {"messages": ["y" * 9000]}),
        ("gemini", {"systemInstruction": "x" * 9000}, {"contents": ["y" * 9000]}),
    ],
)
def test_prefixes_are_shared_in_every_dialect(
    endpoint: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    short = request_digest(before, endpoint, "m", KEY, SCOPE).prefix_blocks
    grown = request_digest(before | after, endpoint, "m", KEY, SCOPE).prefix_blocks
    assert grown[: len(short)] == short
    assert len(grown) > len(short) == 4


def test_what_an_answer_repeats_is_part_of_its_key() -> None:
    """A Response carries the caller's metadata: another caller's must not come back."""
    keys = {
        request_digest({"input": "a", **more}, "responses", "m", KEY, SCOPE).request_key
        for more in ({}, {"metadata": {"a": "b"}}, {"user": "u"}, {"prompt_cache_key": "k"})
    }
    assert len(keys) == 4
    keys = {
        request_digest({"messages": [], **more}, "messages", "m", KEY, SCOPE).request_key
        for more in ({}, {"metadata": {"user_id": "u"}})
    }
    assert len(keys) == 1
