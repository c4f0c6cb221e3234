"""A taken port is noticed, never shared by accident."""

import os
import socket
from collections.abc import Iterator

import pytest

from config.errors import ConfigError
from config.ports import claim_port, find_port_owner

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0), reuse_port=True) as server:
        yield server.getsockname()[1]


def port_of(claimed: socket.socket) -> int:
    return int(claimed.getsockname()[1])


def test_free_port_is_claimed_and_can_be_shared() -> None:
    with claim_port(HOST, 0, is_explicit=True) as first:
        port = port_of(first)
        with socket.socket() as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            second.bind((HOST, port))
            first.listen()
            second.listen()


def test_explicit_port_in_use_names_its_owner(taken: int) -> None:
    """A listener with SO_REUSEPORT of its own would let a careless bind through."""
    with pytest.raises(ConfigError) as caught:
        claim_port(HOST, taken, is_explicit=True, setting="APEX_PROXY_PORT")
    assert f"port {taken} on {HOST} is in use" in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "APEX_PROXY_PORT" in caught.value.hint


def test_default_port_in_use_moves_on(taken: int) -> None:
    with claim_port(HOST, taken, is_explicit=False) as claimed:
        assert taken < port_of(claimed) < taken + 100


def test_claimed_port_is_taken_before_anyone_listens() -> None:
    """Two gateways that start at the same time do not end up on one port."""
    with claim_port(HOST, 0, is_explicit=True) as first:
        with pytest.raises(ConfigError, match="in use"):
            claim_port(HOST, port_of(first), is_explicit=True)
        with claim_port(HOST, port_of(first), is_explicit=False) as second:
            assert port_of(second) > port_of(first)


def test_claimed_port_is_taken_even_where_connections_of_its_last_owner_linger() -> None:
    """Seen in practice: two gateways shared a mock, and each missed calls on its bill."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with claim_port(HOST, port, is_explicit=True), pytest.raises(ConfigError, match="in use"):
        claim_port(HOST, port, is_explicit=True)
    with claim_port(HOST, port, is_explicit=True) as again:
        assert port_of(again) == port


def test_lingering_connections_do_not_hold_a_port() -> None:
    """The side that closes first keeps its end in TIME_WAIT; a restart wants the port at once."""
    with claim_port(HOST, 0, is_explicit=True) as server:
        server.listen()
        port = port_of(server)
        with socket.create_connection((HOST, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with claim_port(HOST, port, is_explicit=True) as again:
        assert port_of(again) == port


def test_lingering_connections_of_another_program_do_not_either() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with claim_port(HOST, port, is_explicit=True) as claimed:
        assert port_of(claimed) == port


def test_last_ports_run_out() -> None:
    with (
        claim_port(HOST, 65534, is_explicit=True),
        claim_port(HOST, 65535, is_explicit=True),
        pytest.raises(ConfigError, match="no port from 65534 to 65535 is free"),
    ):
        claim_port(HOST, 65534, is_explicit=False)


def test_unknown_host_is_explained() -> None:
    with pytest.raises(ConfigError) as caught:
        claim_port("no-such-host.invalid", 0, is_explicit=True)
    assert "APEX_HOST" in caught.value.hint


def test_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ConfigError) as caught:
        claim_port("192.0.2.1", 0, is_explicit=True)
    assert "APEX_HOST" in caught.value.hint


def test_owner_of_a_free_port_is_unknown() -> None:
    with claim_port(HOST, 0, is_explicit=True) as claimed:
        assert find_port_owner(port_of(claimed)) is None


def test_all_addresses_and_ipv6_are_served() -> None:
    for host in ("0.0.0.0", "::1", "localhost"):  # noqa: S104 - what operators write
        with claim_port(host, 0, is_explicit=True) as claimed:
            assert port_of(claimed)


def test_owner_is_found_on_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        owner = find_port_owner(server.getsockname()[1])
    assert owner is not None
    assert owner.endswith(f"(pid {os.getpid()})")
