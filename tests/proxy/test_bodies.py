"""The body an upstream gets: points 14 and 20 of the wire list, B2 on smuggled fields."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.price_book import PriceBook, load_price_book
from policies.snapshot import Target
from proxy.bodies import body_for, clamp_fields, injects_usage
from proxy.dialects.chat import CHAT
from proxy.live import LiveSnapshot
from tests.proxy.samples import HELLO, decision, live_snapshot, request_context, upstream

SAME = Target("openai", "gpt-4o")
OTHER = Target("openai", "gpt-4o-2024-08-06")


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture(scope="module")
def live(book: PriceBook) -> LiveSnapshot:
    upstreams = {"openai": upstream("openai"), "shy": upstream("shy", stream_usage=False)}
    return live_snapshot(book, upstreams=upstreams)


def sent(live: LiveSnapshot, body: bytes, target: Target = SAME, **fields: Any) -> bytes:
    doc = orjson.loads(body)
    context = request_context(live, doc, body=body, decision=decision(), **fields)
    return body_for(context, target, live.doors[target.upstream])


def test_an_unchanged_request_is_the_callers_own_bytes(live: LiveSnapshot) -> None:
    body = b'{ "model" : "gpt-4o", "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],'
    body += b' "x":1e2,\n"y":1.0}'
    assert sent(live, body) is body


def test_a_routed_model_is_the_only_thing_changed(live: LiveSnapshot) -> None:
    doc = {"novel": {"deep": [None]}, **HELLO, "metadata": {"model": "x"}, "temperature": 0.1}
    changed = orjson.loads(sent(live, orjson.dumps(doc), OTHER))
    assert changed == {**doc, "model": "gpt-4o-2024-08-06"}
    assert list(changed) == list(doc)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","messages":[],"model":"gpt-4o"}',
        b'{"mod\\u0065l":"cheap","messages":[],"model":"gpt-4o"}',
        b'{"model":"cheap","messages":[],"\\u006dodel":"gpt-4o"}',
        b'{"\\u006d\\u006f\\u0064\\u0065\\u006c":"gpt-4o","messages":[]}',
        b'{"\\u006D\\u006F\\u0064\\u0065\\u006C":"gpt-4o","messages":[]}',
    ],
)
def test_a_model_named_twice_or_in_disguise_is_sent_as_we_read_it(
    live: LiveSnapshot, body: bytes
) -> None:
    """A server that takes the first of two names would run a model nobody priced."""
    out = sent(live, body)
    assert out.count(b'"model"') == 1
    assert orjson.loads(out)["model"] == "gpt-4o"


@pytest.mark.parametrize(
    ("options", "asked", "expected"),
    [
        (None, False, {"include_usage": True}),
        (
            {"include_obfuscation": False},
            False,
            {"include_obfuscation": False, "include_usage": True},
        ),
        ({"include_usage": False}, False, {"include_usage": True}),
    ],
)
def test_usage_is_asked_for_on_every_stream(
    live: LiveSnapshot, options: Any, asked: bool, expected: Any
) -> None:
    body = orjson.dumps(HELLO | {"stream": True, "stream_options": options})
    out = sent(live, body, is_streaming=True, asked_usage=asked)
    assert orjson.loads(out)["stream_options"] == expected


def test_usage_is_not_asked_for_twice_nor_where_it_is_refused(live: LiveSnapshot) -> None:
    body = orjson.dumps(HELLO | {"stream": True, "stream_options": {"include_usage": True}})
    assert sent(live, body, is_streaming=True, asked_usage=True) is body
    body = orjson.dumps(HELLO | {"stream": True})
    shy = Target("shy", "gpt-4o")
    assert sent(live, body, shy, is_streaming=True) is body
    assert sent(live, orjson.dumps(HELLO)) == orjson.dumps(HELLO)
    context = request_context(live, is_streaming=True)
    assert injects_usage(context, live.doors["openai"])
    assert not injects_usage(context, live.doors["shy"])


@pytest.mark.parametrize(
    ("doc", "fields"),
    [
        ({}, {"max_completion_tokens": 100}),
        ({"max_tokens": None}, {"max_completion_tokens": 100}),
        ({"max_tokens": 5000}, {"max_tokens": 100}),
        ({"max_completion_tokens": 5000}, {"max_completion_tokens": 100}),
        (
            {"max_tokens": 7, "max_completion_tokens": 5000},
            {"max_completion_tokens": 100, "max_tokens": 7},
        ),
    ],
)
def test_a_clamp_lowers_and_never_raises(doc: dict[str, Any], fields: dict[str, int]) -> None:
    assert clamp_fields(doc, 100, CHAT.output_bounds) == fields


@given(st.integers(1, 9999), st.none() | st.integers(1, 9999), st.none() | st.integers(1, 9999))
def test_no_clamped_bound_is_above_what_was_asked(limit: int, a: int | None, b: int | None) -> None:
    fields = clamp_fields({"max_tokens": a, "max_completion_tokens": b}, limit, CHAT.output_bounds)
    assert all(value <= limit for value in fields.values())
    asked = {"max_tokens": a, "max_completion_tokens": b}
    assert all(value <= (asked[name] or limit) for name, value in fields.items())


def test_embeddings_are_never_given_an_output_bound(live: LiveSnapshot) -> None:
    doc = {"model": "gpt-4o", "input": "x"}
    context = request_context(
        live, doc, endpoint="embeddings", decision=decision(clamp_output_tokens=5)
    )
    assert body_for(context, SAME, live.doors["openai"]) == orjson.dumps(doc)


def test_a_clamp_reaches_the_upstream(live: LiveSnapshot) -> None:
    doc = HELLO | {"max_tokens": 500}
    context = request_context(live, doc, decision=decision(clamp_output_tokens=50))
    assert orjson.loads(body_for(context, SAME, live.doors["openai"]))["max_tokens"] == 50
