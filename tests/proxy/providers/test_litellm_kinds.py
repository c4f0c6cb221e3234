"""The facts of the door to litellm, without litellm: addresses, refusals, errors of any shape."""

from typing import Any

import pytest

from config.provider_kinds import LITELLM_KINDS
from proxy.providers.compatible import kind_of
from proxy.providers.litellm_kinds import (
    ADDRESS_EXAMPLES,
    ADDRESSES,
    NEEDS_OWN_AUTH,
    check_kind,
    error_of,
    split_fields,
)
from proxy.providers.translation import UntranslatableError

LEFT = [kind for kind in LITELLM_KINDS if kind_of(kind) == "litellm"]


@pytest.mark.parametrize("kind", LEFT)
def test_every_kind_left_has_an_address_or_a_reason(kind: str) -> None:
    assert (kind in ADDRESSES) != (kind in NEEDS_OWN_AUTH)
    if kind in ADDRESSES:
        assert bool(ADDRESSES[kind]) != (kind in ADDRESS_EXAMPLES)


def test_nothing_is_listed_that_is_served_otherwise() -> None:
    assert {*ADDRESSES, *NEEDS_OWN_AUTH} == set(LEFT)


@pytest.mark.parametrize("kind", NEEDS_OWN_AUTH)
def test_kinds_with_auth_of_their_own_are_refused_with_a_hint(kind: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        check_kind(kind, "https://example.org", "key")
    assert caught.value.hint == NEEDS_OWN_AUTH[kind]


def test_an_address_and_a_key_are_needed() -> None:
    assert check_kind("cohere", "", "key") == "https://api.cohere.com/v2/chat"
    assert check_kind("cohere", "https://proxy.example/", "key") == "https://proxy.example"
    with pytest.raises(UntranslatableError, match="no base_url") as caught:
        check_kind("databricks", "", "key")
    assert "serving-endpoints" in caught.value.hint
    with pytest.raises(UntranslatableError, match="no api_key"):
        check_kind("cohere", "", "")


def test_fields_are_sent_left_out_or_refused() -> None:
    supported, known = frozenset({"temperature"}), frozenset({"temperature", "n", "logprobs"})
    doc = {
        "model": "m", "messages": [], "temperature": 1, "n": 1, "logprobs": None, "user": "u",
        "safety_mode": "NONE",
    }  # fmt: skip
    assert split_fields(doc, supported, known) == {"temperature": 1, "safety_mode": "NONE"}
    with pytest.raises(UntranslatableError) as caught:
        split_fields({"n": 2}, supported, known)
    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        ({"message": "invalid api token"}, "invalid api token", None),  # Cohere
        ({"error_code": "BAD_REQUEST", "message": "no"}, "no", "BAD_REQUEST"),  # Databricks
        ({"detail": "Forbidden: Bad or missing API token."},
         "Forbidden: Bad or missing API token.", None),  # AI21
        ({"error": {"message": "m", "type": "t", "code": 7}}, "m", 7),
        ({"error": "plain"}, "plain", None),
    ],
)  # fmt: skip
def test_errors_of_any_shape(document: dict[str, Any], message: str, code: Any) -> None:
    error = error_of(document)
    assert error is not None
    assert error["error"]["message"] == message
    assert error["error"]["code"] == code


def test_what_says_nothing_is_no_error() -> None:
    assert error_of({"choices": []}) is None
