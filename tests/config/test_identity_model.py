"""The identity section: its defaults, its bounds, and what it keeps to itself."""

from typing import Any

import pytest
from pydantic import ValidationError

from config.identity_model import IdentityConfig, IssuerConfig

KNOWN = {"issuer": "https://accounts.example.com", "client_id": "me", "client_secret": "s3cret"}


def test_a_provider_signs_with_rsa_unless_it_says_otherwise() -> None:
    assert IssuerConfig.model_validate(KNOWN).algorithms == ("RS256",)
    other = IssuerConfig.model_validate({**KNOWN, "algorithms": ["ES256", "EdDSA"]})
    assert other.algorithms == ("ES256", "EdDSA")
    assert "s3cret" not in repr(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},  # whoever can check it could sign it
        {"client_id": ""},
        {"client_secret": "two words"},
        {"client_secret": "env:UNSET"},
        {"scope": "openid"},
    ],
)
def test_what_is_no_provider(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IssuerConfig.model_validate({**KNOWN, **changes}, context={"environ": {}})


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token_s": 901},  # a quarter of an hour at most
        {"access_token_s": 0},
        {"session_s": 0},
        {"attempts_per_minute": 0},
        {"sign_up": "anybody"},
        {"issuers": {"Not A Name": KNOWN}},
    ],
)
def test_bounds(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IdentityConfig.model_validate(changes)
