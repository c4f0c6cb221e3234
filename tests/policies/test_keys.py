"""API keys: their form, their checksum, and the HMAC that stands for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.keys import KEY_PATTERN, generate_key, key_hmac, parse_key_id


def test_generated_keys_are_well_formed_and_differ() -> None:
    keys = [generate_key() for _ in range(200)]
    assert len({key.secret for key in keys}) == 200
    for key in keys:
        assert len(key.secret) == 5 + 8 + 1 + 43 + 1 + 8
        assert parse_key_id(key.secret) == key.key_id
        assert key.secret not in repr(key)


@given(st.integers(0, 65), st.characters())
def test_a_typing_error_is_noticed(place: int, character: str) -> None:
    secret = generate_key().secret
    if secret[place] != character:
        wrong = f"{secret[:place]}{character}{secret[place + 1 :]}"
        assert parse_key_id(wrong) is None


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s[:-1], lambda s: f"{s}0", lambda s: s + "\n"]
)
def test_other_shapes_are_no_keys(change: object) -> None:
    assert callable(change)
    assert parse_key_id(change(generate_key().secret)) is None


@pytest.mark.parametrize("token", ["", "sk-proj-123", "apex_", "apex_abcdefgh_x_00000000"])
def test_foreign_tokens_have_no_id(token: str) -> None:
    assert parse_key_id(token) is None


def test_scanners_find_a_key_in_a_text() -> None:
    secret = generate_key().secret
    text = f'client = OpenAI(api_key="{secret}")  # apex_not_a_key'
    found = KEY_PATTERN.search(text)
    assert found is not None
    assert found[0] == secret
    assert len(KEY_PATTERN.findall(text)) == 1


def test_the_hmac_depends_on_pepper_and_token() -> None:
    digest = key_hmac(b"pepper", "token")
    assert len(digest) == 32
    assert digest == key_hmac(b"pepper", "token")
    assert digest not in {key_hmac(b"other", "token"), key_hmac(b"pepper", "tokem")}
    assert len(key_hmac(b"pepper", "\ud800")) == 32
