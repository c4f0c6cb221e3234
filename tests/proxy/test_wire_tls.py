"""The fast client's way to an upstream: TLS, names, addresses, and the connection's deadline."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.upstream_client import UnreachableFault
from proxy.wire_client import WireClient
from tests.proxy.wire_peers import Authority, LeadingTo, Peer, answer_of, call_to, echo


@pytest.fixture
async def client() -> AsyncIterator[WireClient]:
    made = WireClient()
    yield made
    await made.close()


@pytest.fixture
def peer() -> Any:
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that clients trust, as they would a company's."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


@pytest.mark.parametrize("allows_private", [True, False])
async def test_tls_connections_are_checked_and_used_again(
    client: WireClient, authority: Authority, allows_private: bool
) -> None:
    """A guarded upstream is connected to by address, but greeted and checked by name."""
    client._resolver = LeadingTo("127.0.0.1")  # noqa: SLF001 the network's part
    host = "localhost" if allows_private else "api.upstream.example"
    async with echo(authority.server(host)) as state:
        for number in range(3):
            body = b"%d" % number * 70_000
            call = call_to(f"https://{host}:{state[0]}/", body, allows_private=allows_private)
            assert await answer_of(client, call) == body
        assert state[1] == client.idle_connections == 1
    assert authority.asked_names == [host]


async def test_a_certificate_for_an_address_is_accepted(
    client: WireClient, authority: Authority
) -> None:
    async with echo(authority.server("127.0.0.1")) as state:
        assert await answer_of(client, call_to(f"https://127.0.0.1:{state[0]}/", b"a")) == b"a"


@pytest.mark.parametrize("proven", ["other.example", "upstream.example.evil", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_refused(
    client: WireClient, authority: Authority, proven: str
) -> None:
    client._resolver = LeadingTo("127.0.0.1")  # noqa: SLF001 the network's part
    async with echo(authority.server(proven)) as state:
        with pytest.raises(UnreachableFault, match="SSLCertVerification") as caught:
            await client.send(
                call_to(f"https://upstream.example:{state[0]}/", allows_private=False)
            )
    assert not caught.value.may_have_run
    assert client.idle_connections == 0


async def test_an_authority_nobody_trusts_is_refused(client: WireClient, tmp_path: Path) -> None:
    async with echo(Authority(tmp_path).server("localhost")) as state:
        with pytest.raises(UnreachableFault, match="SSLCertVerification"):
            await client.send(call_to(f"https://localhost:{state[0]}/"))


async def test_a_server_without_tls_is_unreachable(client: WireClient, peer: Peer) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(_fault_of(client, peer.url.replace("http:", "https:")))
        (await peer.accept()).sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert not call.result().may_have_run


async def _fault_of(client: WireClient, url: str) -> UnreachableFault:
    with pytest.raises(UnreachableFault) as caught:
        await client.send(call_to(url))
    return caught.value


async def test_a_silent_handshake_ends_with_the_connection_deadline(
    client: WireClient, peer: Peer
) -> None:
    with pytest.raises(UnreachableFault, match="timeout") as caught:
        await client.send(call_to(peer.url.replace("http:", "https:"), connect_s=0.2))
    assert not caught.value.may_have_run


async def test_a_silent_address_leaves_time_for_the_next(
    client: WireClient, authority: Authority
) -> None:
    client._resolver = LeadingTo("127.0.0.2", "127.0.0.1")  # noqa: SLF001 the network's part
    async with echo(authority.server("upstream.example")) as state:
        with socket.create_server(("127.0.0.2", state[0])):  # takes up, and never greets
            url = f"https://upstream.example:{state[0]}/"
            call = call_to(url, b"a", allows_private=False, connect_s=1.0)
            assert await answer_of(client, call) == b"a"
    assert client.idle_connections == 1


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "no-such-name.invalid"])
async def test_a_name_that_leads_nowhere_is_unreachable(client: WireClient, host: str) -> None:
    for allows_private in (True, False):
        with pytest.raises(UnreachableFault) as caught:
            await client.send(call_to(f"https://{host}/", allows_private=allows_private))
        assert not caught.value.may_have_run
