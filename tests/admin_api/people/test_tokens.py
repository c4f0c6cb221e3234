"""The door to the token library, without a gateway around: key sets, times, shapes."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from admin_api.people.tokens import (
    OWN_ALGORITHM,
    OWN_TYPE,
    Expected,
    TokenError,
    describe_key,
    looks_like_token,
    read_key_id,
    read_key_set,
    sign,
    verify,
)
from tests.fake_issuer import describe

KEY = Ed25519PrivateKey.generate()
NOW = 1_790_000_000
EXPECTED = Expected("https://apex.example.com", "apex-admin", (OWN_ALGORITHM,), (OWN_TYPE,), NOW)
CLAIMS = {
    "iss": EXPECTED.issuer, "aud": EXPECTED.audience, "sub": "usr_1", "iat": NOW, "exp": NOW + 900,
}  # fmt: skip


def test_what_was_signed_verifies() -> None:
    token = sign(CLAIMS, "sk_1", KEY)
    assert looks_like_token(token)
    assert read_key_id(token, EXPECTED) == "sk_1"
    assert verify(token, KEY.public_key(), EXPECTED) == CLAIMS


@pytest.mark.parametrize(
    ("later_s", "is_good"), [(959, True), (960, False), (-60, True), (-61, False)]
)
def test_times_are_by_the_clock_that_is_given(later_s: int, is_good: bool) -> None:
    token = sign(CLAIMS, "sk_1", KEY)
    expected = Expected(
        EXPECTED.issuer, EXPECTED.audience, EXPECTED.algorithms, EXPECTED.types, NOW + later_s
    )
    if is_good:
        assert verify(token, KEY.public_key(), expected)["sub"] == "usr_1"
    else:
        with pytest.raises(TokenError):
            verify(token, KEY.public_key(), expected)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[\w-]{1,40}\.[\w-]{1,40}"))
def test_any_text_is_refused_and_nothing_of_it_said(text: str) -> None:
    with pytest.raises(TokenError) as caught:
        verify(text, KEY.public_key(), EXPECTED)
    assert len(str(caught.value)) < 80


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
odd_keys = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(["RSA", "EC", "oct", "OKP", "sig", "RS256", "HS256"])
        for name in ("kty", "use", "alg", "kid", "n", "e", "crv", "x", "y", "k")
    },
)


@given(
    st.fixed_dictionaries({"keys": json_values | st.lists(json_values | odd_keys, max_size=4)})
    | json_values
)
def test_any_key_set_is_read_or_refused(document: Any) -> None:
    try:
        keys = read_key_set(document, ("RS256", "ES256"))
    except TokenError:
        return
    assert all(key.algorithm_name in {"RS256", "ES256"} for key in keys.values())


def test_a_key_that_names_no_algorithm_is_of_an_allowed_one() -> None:
    bare = {name: value for name, value in describe("a").items() if name != "alg"}
    assert list(read_key_set({"keys": [bare]}, ("ES256", "RS256"))) == ["a"]
    assert read_key_set({"keys": [bare]}, ("ES256",)) == {}


def test_a_huge_key_set_is_refused() -> None:
    with pytest.raises(TokenError):
        read_key_set({"keys": [describe("a")] * 65}, ("RS256",))


def test_a_public_key_is_described_without_the_private_one() -> None:
    described = describe_key("sk_1", KEY.public_key())
    assert set(described) == {"kty", "crv", "x", "kid", "alg", "use"}
