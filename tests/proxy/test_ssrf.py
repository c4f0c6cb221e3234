"""The corpus of inside addresses at the last door: neither client ever connects to one of them.

A server on this machine counts every connection; a name server in an attacker's hands answers what
he likes, and something else the second time.
"""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from config.errors import ConfigError
from config.public_addresses import is_public_address
from proxy.live import open_door
from proxy.upstream_client import AiohttpClient, RefusedFault, UpstreamCall, UpstreamFault
from proxy.wire_client import WireClient
from tests.fault_replies import ok_json, redirect
from tests.fault_upstream import FaultUpstream
from tests.proxy.samples import upstream as declared
from tests.ssrf_corpus import INSIDE_ADDRESSES, LITERAL_HOSTS, REFUSED

PUBLIC = "93.184.216.34"
SECRET = {"Authorization": "Bearer sk-secret", "api-key": "sk-secret", "x-api-key": "sk-secret"}
Client = AiohttpClient | WireClient


@pytest.fixture(params=[AiohttpClient, WireClient])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    made: Client = request.param()
    yield made
    await made.close()


class Canary:
    """Counts whoever comes by on every address of this machine's loopback."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    def visit(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    bird = Canary()
    servers = [await asyncio.start_server(bird.visit, "127.0.0.1", 0)]
    bird.port = servers[0].sockets[0].getsockname()[1]
    with suppress(OSError):  # where there is IPv6
        servers.append(await asyncio.start_server(bird.visit, "::1", bird.port))
    yield bird
    for server in servers:
        server.close()


def call_to(url: str, *, allows_private: bool = False) -> UpstreamCall:
    headers = CIMultiDict({"Content-Type": "application/json", **SECRET})
    return UpstreamCall(URL(url), headers, b"{}", 2.0, allows_private=allows_private)


def answer_with(monkeypatch: pytest.MonkeyPatch, answers: Callable[[], list[str]]) -> list[str]:
    """Put the name server into an attacker's hands; the names that were looked up."""
    asked: list[str] = []

    async def resolve(
        _self: ThreadedResolver, host: str, port: int = 0, _family: int = socket.AF_INET
    ) -> list[ResolveResult]:
        asked.append(host)
        return [
            {"hostname": host, "host": address, "port": port, "proto": 0, "flags": 0,
             "family": socket.AF_INET6 if ":" in address else socket.AF_INET}
            for address in answers()
        ]  # fmt: skip

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    return asked


@pytest.mark.parametrize("url", REFUSED)
def test_no_door_opens_to_it(url: str) -> None:
    with pytest.raises(ConfigError):
        open_door(declared("u", url))


async def test_no_spelling_of_an_inside_address_is_connected_to(
    client: Client, canary: Canary
) -> None:
    """Even had it got past every check: by http, which no public upstream may be, and by https."""
    for host, scheme in itertools.product(LITERAL_HOSTS, ("http", "https")):
        with suppress(ValueError):  # no URL at all
            call = call_to(f"{scheme}://{host}:{canary.port}/v1")
            with pytest.raises((UpstreamFault, ValueError)):
                await client.send(call)
    assert canary.visits == 0
    with pytest.raises(UpstreamFault):  # the canary sings, when it is meant to be visited
        await client.send(call_to(f"http://127.0.0.1:{canary.port}/", allows_private=True))
    assert canary.visits == 1


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
async def test_no_name_leads_inside(
    client: Client, canary: Canary, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked = answer_with(monkeypatch, lambda: [address])
    with pytest.raises(UpstreamFault, match="not a public one"):
        await client.send(call_to(f"https://api.evil.com:{canary.port}/v1"))
    assert asked == ["api.evil.com"]
    assert canary.visits == 0


async def test_a_name_that_changes_its_mind_is_asked_once_for_a_connection(
    client: Client, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: what was looked at is what is connected to, by address and never by name."""
    minds = itertools.cycle([[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::1", PUBLIC]])
    answer_with(monkeypatch, lambda: next(minds))
    targets = record_connections(monkeypatch)
    for _ in range(8):
        with pytest.raises(UpstreamFault):
            await client.send(call_to(f"https://api.evil.com:{canary.port}/v1"))
    assert targets
    assert all(is_public_address(target) for target in targets)
    assert canary.visits == 0


def record_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where either client would have connected to; nothing leaves this machine."""
    targets: list[str] = []

    async def start(addr_infos: Any, **_: Any) -> socket.socket:
        targets.extend(str(info[4][0]) for info in addr_infos)
        raise OSError("not in a test")

    async def open_at(_self: WireClient, _pool: Any, host: str) -> Any:
        targets.append(host)
        raise OSError("not in a test")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", start)
    monkeypatch.setattr(WireClient, "_open_at", open_at)
    return targets


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers_and_not_followed(client: Client, status: int) -> None:
    async with FaultUpstream() as first, FaultUpstream(ok_json()) as second:
        first.script(replace(redirect(f"{second.url}/secret"), status=status))
        reply = await client.send(call_to(f"{first.url}/x", allows_private=True))
        assert reply.status == status
        reply.close()
        assert second.calls == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_web_socket_is_not_sent_on_either(status: int) -> None:
    """The handshake has the key in headers that a client library would carry along."""
    async with FaultUpstream(ok_json()) as second, _redirecting(f"{second.url}/x", status) as url:
        client = AiohttpClient()
        try:
            with pytest.raises(RefusedFault) as caught:
                await client.open_websocket(call_to(url, allows_private=True), ("realtime",))
            assert caught.value.status == status
            assert second.calls == []
        finally:
            await client.close()


class _redirecting:  # noqa: N801 used as a function
    """A server that sends every caller elsewhere."""

    def __init__(self, location: str, status: int) -> None:
        self._location, self._status = location, status

    async def __aenter__(self) -> str:
        async def send_on(_: web.Request) -> web.Response:
            return web.Response(status=self._status, headers={"Location": self._location})

        app = web.Application()
        app.router.add_get("/", send_on)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_the_environment_names_no_proxy_that_would_get_the_key(
    client: Client, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with FaultUpstream(ok_json()) as server:
        reply = await client.send(call_to(f"{server.url}/x", allows_private=True))
        reply.close()
        assert reply.status == 200
    assert canary.visits == 0
