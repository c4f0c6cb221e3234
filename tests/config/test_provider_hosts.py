"""Hosts by kind: they are those the data plane really calls."""

import pytest

from config.provider_hosts import SPOKEN_HOSTS, host_of, needs_host
from config.provider_kinds import KNOWN_KINDS, MOCK_KIND
from proxy.live import binding_of, open_door
from tests.proxy.samples import upstream


@pytest.mark.parametrize("kind", [kind for kind in KNOWN_KINDS if kind != MOCK_KIND])
@pytest.mark.parametrize("base_url", ["", "https://gateway.somebody.com:8443/x"])
def test_a_credential_is_bound_to_where_the_call_goes(kind: str, base_url: str) -> None:
    declared = upstream("u", base_url, kind=kind, region="us-east-1")
    door = open_door(declared)
    assert binding_of(door) == (kind, host_of(kind, base_url, "us-east-1"))
    assert (kind in SPOKEN_HOSTS) == (door.litellm is None)


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://a.com", "a.com"),
        ("https://A.com:443/v1", "a.com"),
        ("http://a.com:80", "a.com"),
        ("http://a.com:443", "a.com:443"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
    ],
)
def test_an_unusual_port_belongs_to_the_host(base_url: str, host: str) -> None:
    assert host_of("openai", base_url, None) == host
    door = open_door(upstream("u", base_url, allow_private=True))
    assert binding_of(door) == ("openai", host)


def test_where_servers_differ_the_host_has_to_be_said() -> None:
    assert needs_host("azure")
    assert needs_host("bedrock")
    assert not needs_host("openai")
    assert not needs_host("vertex_ai"), "a library knows its address"
    assert host_of("mock", "http://127.0.0.1:1/v1", None) == ""
    assert host_of("bedrock", None, "cn-north-1") == "bedrock-runtime.cn-north-1.amazonaws.com.cn"
