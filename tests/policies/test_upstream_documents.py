"""What makes the document of an upstream acceptable: for all, and for one tenant."""

from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import ConfigError
from policies.upstream_documents import StoredUpstream, check_upstream


def checked(tenant: str = "", **fields: Any) -> StoredUpstream:
    return check_upstream(StoredUpstream(**{"kind": "openai", **fields}), tenant)


def test_an_address_comes_in_one_spelling() -> None:
    assert checked().base_url == "https://api.openai.com/v1"
    assert checked(base_url="https://a.com/v1///").base_url == "https://a.com/v1"
    assert checked(kind="anthropic").base_url is None


@pytest.mark.parametrize("tenant", ["", "acme"])
@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "https://127.0.0.1/"},
        {"base_url": "http://a.com"},
        {"kind": "azure"},
        {"kind": "bedrock"},
        {"kind": "mock"},
        {"kind": "nobody"},
        {"api_version": "2024-10-21"},
    ],
)
def test_what_could_only_fail_is_refused(tenant: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(tenant, **fields)
    assert caught.value.hint


def test_what_a_tenant_may_not() -> None:
    for fields in ({"allow_private": True}, {"kind": "vertex_ai"}):
        assert checked(**fields)
        with pytest.raises(ConfigError):
            checked("acme", **fields)
    assert checked("acme", models={"house": "llama"}).models == {"house": "llama"}
    with pytest.raises(ConfigError):
        checked(models={"house": "llama"})


@pytest.mark.parametrize("region", ["x.evil.example/", "US", "a@b", ""])
def test_a_region_is_a_word(region: str) -> None:
    with pytest.raises(ValidationError):
        StoredUpstream(kind="bedrock", region=region)


def test_a_secret_is_taken_as_it_is() -> None:
    """`env:` in a stored secret is no reference: the API must not read the environment."""
    declared = checked().as_declared("env:PATH")
    assert (declared.api_key, declared.kind) == ("env:PATH", "openai")
    assert declared.base_url == "https://api.openai.com/v1"
    assert "env:PATH" not in repr(declared)
    assert checked().as_declared("").api_key is None
