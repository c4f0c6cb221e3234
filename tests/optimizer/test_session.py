"""Sessions, their hashes and their draws: sticky, uniform, independent between salts."""

import hashlib
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dialects import subjects_in
from optimizer.session import (
    draw_arms,
    opening_of,
    session_of,
    subject_hash,
    unit_draw,
)
from tests.optimizer.test_caching import GOLDEN

SESSIONS = 20_000


def test_the_first_non_empty_source_names_the_session() -> None:
    assert session_of("s-1", "u-1", b"hello") == ("s-1", "header")
    assert session_of("", "u-1", b"hello") == ("u-1", "user")
    value, source = session_of("", "", b"hello")
    assert (len(value), source) == (32, "conversation")
    assert session_of("", "", b"hello") == (value, source)
    assert session_of("", "", b"other")[0] != value
    assert session_of("", "", b"") == ("", "none")


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({"user": "u"}, ("u", "")),
        ({"user": "u", "safety_identifier": "s"}, ("u", "s")),
        ({"user": "", "safety_identifier": "s"}, ("", "s")),
        ({"user": 7}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_the_end_user(doc: dict[str, object], expected: tuple[str, str]) -> None:
    assert subjects_in(doc, "chat") == expected


def conversation(*texts: str) -> dict[str, object]:
    roles = ("system", "user", "assistant", "user", "assistant")
    return {
        "messages": [
            {"role": role, "content": text} for role, text in zip(roles, texts, strict=False)
        ]
    }


@given(st.lists(st.text(), min_size=2, max_size=5))
def test_the_opening_stays_while_the_conversation_grows(texts: list[str]) -> None:
    assert opening_of(conversation(*texts)) == opening_of(conversation(*texts[:2]))


@pytest.mark.parametrize(
    "other",
    [
        conversation("be kind", "hello!"),
        conversation("be rude", "hello"),
        conversation("be kindhello", ""),
        conversation("", "be kindhello"),
        conversation("be kind", "x" * 600 + "a" + "x" * 600),
        {"messages": [{"role": "user", "content": "hello"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}, 7]},
        {"messages": [{"role": "user", "content": [{"image_url": {"url": "data:a"}}]}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [7, {"role": "system", "content": "be kind"}]},
        {"messages": []},
    ],
)
def test_another_opening_is_another_conversation(other: dict[str, object]) -> None:
    assert opening_of(other) != opening_of(conversation("be kind", "hello"))


def test_openings_are_short_and_embeddings_have_one() -> None:
    assert len(opening_of(conversation("s" * 100_000, "u" * 100_000))) < 5000
    assert opening_of({"input": ["a", "b"]}) != opening_of({"input": ["a", "c"]})
    assert opening_of({"input": [[1, 2], [3]]}) != opening_of({"input": [[1, 2], [4]]})
    assert opening_of({"input": "a"}) != b""
    assert opening_of({}) == b""


def test_openings_of_chat_and_embeddings_are_what_they_were() -> None:
    """Computed before other dialects had openings: no session may change its arm."""
    chat = hashlib.sha256(opening_of(GOLDEN)).hexdigest()
    assert chat == "d4e584944fd5c58e68ab063fd0a5501b9887ba1a975d0748280c5687a469bcbf"
    embeddings = hashlib.sha256(opening_of({"input": ["a", "b"]})).hexdigest()
    assert embeddings == "9cc336e09276358de5f6b76d6e3a6e745291552ccba24fc3e8de6dbf385cd41b"


def turns_of(endpoint: str, system: str, *texts: str) -> Any:
    """A conversation of the same words in each dialect; user and assistant take turns."""
    roles = ["user" if place % 2 == 0 else "assistant" for place in range(len(texts))]
    pairs = list(zip(roles, texts, strict=True))
    plain = [{"role": role, "content": text} for role, text in pairs]
    parts = [{"role": role, "parts": [{"text": text}]} for role, text in pairs]
    return {
        "responses": {"instructions": system, "input": plain},
        "messages": {"system": system, "messages": plain},
        "gemini": {"systemInstruction": {"text": system}, "contents": parts},
    }[endpoint]


@pytest.mark.parametrize("endpoint", ["responses", "messages", "gemini"])
def test_every_dialect_has_an_opening_that_stays(endpoint: str) -> None:
    first = opening_of(turns_of(endpoint, "be kind", "hello"), endpoint)
    grown = turns_of(endpoint, "be kind", "hello", "hi", "how are you?")
    assert opening_of(grown, endpoint) == first != b""
    for other in (turns_of(endpoint, "be rude", "hello"), turns_of(endpoint, "be kind", "bye")):
        assert opening_of(other, endpoint) != first


def test_responses_and_completions_open_with_their_text() -> None:
    assert opening_of({"input": "a"}, "responses") != opening_of({"input": "b"}, "responses")
    assert opening_of({"prompt": "a"}, "completions") != opening_of({"prompt": "b"}, "completions")
    assert opening_of({"prompt": ["a"]}, "completions") != b""
    kept: dict[str, Any] = {"input": "a", "conversation": "conv_1"}
    named = opening_of({"input": "b", "conversation": {"id": "conv_1"}}, "responses")
    assert opening_of(kept, "responses") == named
    after = {"input": "a", "previous_response_id": "conv_1"}
    assert opening_of(after, "responses") not in {named, opening_of({"input": "a"}, "responses")}


def test_subjects_are_those_of_the_dialect() -> None:
    doc = {"user": "u", "safety_identifier": "s", "metadata": {"user_id": "m"}}
    assert subjects_in(doc, "chat") == ("u", "s")
    assert subjects_in(doc, "messages") == ("m", "")


def test_a_subject_hash_hides_the_value_and_keeps_tenants_apart() -> None:
    hashed = subject_hash(b"one", "alice")
    assert len(hashed) == 32
    assert hashed == subject_hash(b"one", "alice")
    assert hashed != subject_hash(b"two", "alice")
    assert hashed != subject_hash(b"one", "bob")
    assert subject_hash(b"one", "") == ""
    assert len(subject_hash(b"one", "\ud800")) == 32


@given(st.binary(min_size=1), st.text(), st.text())
def test_a_draw_is_a_sticky_point_in_the_unit_interval(salt: bytes, tenant: str, who: str) -> None:
    draw = unit_draw(salt, tenant, who)
    assert 0 <= draw < 1
    assert unit_draw(salt, tenant, who) == draw


def test_draws_are_uniform_and_differ_between_tenants() -> None:
    deciles = Counter(int(unit_draw(b"s", "acme", f"{i}") * 10) for i in range(SESSIONS))
    chi_squared = sum((deciles[d] - SESSIONS / 10) ** 2 / (SESSIONS / 10) for d in range(10))
    assert chi_squared < 33.7  # 9 degrees of freedom, 1 in 10,000
    assert unit_draw(b"s", "acme", "1") != unit_draw(b"s", "other", "1")


def test_holdout_and_canary_draws_are_independent() -> None:
    draws = [draw_arms(b"holdout", b"canary", "acme", f"{i}") for i in range(SESSIONS)]
    means = [sum(draw[side] for draw in draws) / SESSIONS for side in (0, 1)]
    covariance = sum((h - means[0]) * (c - means[1]) for h, c in draws) / SESSIONS
    correlation = covariance * 12  # variance of the uniform distribution is 1/12
    assert abs(correlation) < 4.5 / math.sqrt(SESSIONS)
    both = sum(h < 0.1 and c < 0.2 for h, c in draws)
    expected = SESSIONS * 0.1 * 0.2
    assert abs(both - expected) < 4.5 * math.sqrt(expected)
