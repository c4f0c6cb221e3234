"""Sessions, their hashes and their draws: sticky, uniform, independent between salts."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.session import (
    draw_arms,
    opening_of,
    session_of,
    subject_hash,
    unit_draw,
    user_of,
)

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
        ({"user": "u"}, "u"),
        ({"user": "u", "safety_identifier": "s"}, "u"),
        ({"user": "", "safety_identifier": "s"}, "s"),
        ({"user": 7}, ""),
        ({}, ""),
    ],
)
def test_the_end_user(doc: dict[str, object], expected: str) -> None:
    assert user_of(doc) == expected


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
