"""Where the gateway may connect to: the SSRF findings of the security table, at the socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from config.errors import ConfigError
from config.public_addresses import is_public_address
from proxy.connector import (
    ForbiddenAddressError,
    GuardedResolver,
    check_upstream_url,
    open_public_socket,
    open_session,
)

ANY = "0.0.0.0"  # noqa: S104 as a target, not to listen on
PRIVATE_V4 = (
    ANY,
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.254",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
)
PRIVATE_V6 = (
    "::",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:db8::1",
    "2001:2::1",
    "2001:10::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "64:ff9b:1::1",
    "64:ff9b:1::808:808",
    "::ffff:0:8.8.8.8",
)
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "104.18.7.192",
    "162.159.140.245",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.255.255",
    "169.255.0.1",
    "192.167.255.255",
    "2606:4700::6812:7c0",
    "2a06:98c1:3100::6812:219b",
    "2001:4860:4860::8888",
)
# The same addresses the way attackers write them; no parser of ours may call one public.
OTHER_SPELLINGS = (
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "127.0.1",
    "0",
    "1",
    "0x0",
    "10.1",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "127.0.0.1.",
    "127.0.0.01",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "127\u30020\u30020\u30021",
    "",
    " ",
    "localhost",
    "127.0.0.1 ",
    "::ffff:127.1",
    "[::1]",
    "::1/128",
    "1.1.1.1\x00",
)


def wrapped(inner: str) -> list[str]:
    """Every way to carry an IPv4 address in an IPv6 one."""
    number = int(IPv4Address(inner))
    return [
        f"::ffff:{inner}",
        f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}",
        f"0:0:0:0:0:ffff:{inner}",
        f"::{inner}",
        str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(IPv6Address((0x20010000 << 96) | (~number & 0xFFFFFFFF))),
        str(IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (~number & 0xFFFFFFFF))),
        f"64:ff9b::{inner}",
    ]


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6, *OTHER_SPELLINGS])
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize(
    "inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", ANY]
)
def test_nor_are_they_when_wrapped(inner: str) -> None:
    for address in wrapped(inner):
        assert not is_public_address(address), address


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public_address(address)


def test_ipv6_only_networks_reach_public_ipv4_through_nat64() -> None:
    assert is_public_address("64:ff9b::8.8.8.8")
    assert is_public_address("::ffff:8.8.8.8")


@given(st.integers(0, 2**32 - 1))
def test_wrapping_never_makes_an_address_public(number: int) -> None:
    inner = str(IPv4Address(number))
    if not is_public_address(inner):
        assert not any(map(is_public_address, wrapped(inner)))


@given(st.integers(0, 2**128 - 1).map(IPv6Address) | st.integers(0, 2**32 - 1).map(IPv4Address))
def test_what_the_registries_call_private_never_passes(address: IPv4Address | IPv6Address) -> None:
    if is_public_address(str(address)):
        assert address.is_global
        assert not (address.is_private)
        assert not (address.is_loopback)
        assert not (address.is_link_local)


# --- addresses in the configuration


@pytest.mark.parametrize(
    "url",
    [
        *[f"https://{address}/v1" for address in PRIVATE_V4[:8]],
        *[f"https://{address}/v1" for address in OTHER_SPELLINGS[:16]],
        "https://[::1]/v1",
        "https://[fd00:ec2::254]/v1",
        "https://[::ffff:169.254.169.254]/v1",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fe80::1%25eth0]/",
        "https://[2002:7f00:1::]/",
        "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
        "https://127\u30020\u30020\u30021/",
        "https://\u2460\u2461\u2466.0.0.1/",
        "https://127.0.0.1./",
        "http://api.openai.com/v1",
        "http://8.8.8.8/v1",
    ],
)
def test_a_public_upstream_needs_https_and_a_public_address(url: str) -> None:
    with pytest.raises(ConfigError):
        check_upstream_url(URL(url), allows_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "file:///etc/passwd",
        "unix:///run/x",
        "/v1",
        "https:///v1",
        "https://user@host/v1",
        "https://user:pass@host/v1",
        "gopher://host/",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("allows_private", [True, False])
def test_no_upstream_may_be_anything_but_plain_http(url: str, allows_private: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        check_upstream_url(URL(url), allows_private=allows_private)
    assert caught.value.hint
    assert "pass" not in caught.value.message.replace("passwd", "")


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "https://8.8.8.8/", "https://[2606:4700::1]:8443/v1"]
)
def test_public_upstreams_pass(url: str) -> None:
    check_upstream_url(URL(url), allows_private=False)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9101/v1", "http://localhost/", "http://10.0.0.1/"]
)
def test_an_operator_may_allow_a_private_one(url: str) -> None:
    check_upstream_url(URL(url), allows_private=True)


# --- at the socket


class _Answering(ThreadedResolver):
    """A name server in an attacker's hands."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": family,
                "proto": 0,
                "flags": 0,
            }
            for address in self._addresses
        ]


def resolver_answering(*addresses: str) -> GuardedResolver:
    resolver = GuardedResolver()
    resolver._inner = _Answering(*addresses)  # noqa: SLF001 the network's part, not ours
    return resolver


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "not an address"]
)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="allow_private"):
        await resolver_answering(address).resolve("evil.example", 443)


async def test_of_mixed_answers_only_the_public_ones_are_used() -> None:
    found = await resolver_answering("10.0.0.1", "8.8.8.8", "::1").resolve("mixed.example", 443)
    assert [entry["host"] for entry in found] == ["8.8.8.8"]


async def test_localhost_is_refused_by_the_real_resolver() -> None:
    resolver = GuardedResolver()
    with pytest.raises(ForbiddenAddressError):
        await resolver.resolve("localhost", 443)
    await resolver.close()


def test_no_socket_is_made_for_an_address_inside() -> None:
    with pytest.raises(ForbiddenAddressError):
        open_public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)))
    with pytest.raises(ForbiddenAddressError):
        open_public_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 2)))
    open_public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))).close()


@pytest.fixture
async def inside() -> AsyncIterator[str]:
    """A server inside the network that would give away a secret, or send callers on to one."""

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/secret")

    async def secret(_: web.Request) -> web.Response:
        return web.Response(text="secret", headers={"Set-Cookie": "a=b"}, status=200)

    app = web.Application()
    app.router.add_post("/redirect", redirect)
    app.router.add_route("*", "/secret", secret)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site.name if ":0" not in site.name else f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", ANY, "127.1", "0x7f000001"]
)
async def test_the_public_session_reaches_nothing_inside_whatever_the_url(
    inside: str, host: str
) -> None:
    """The guard is in the connector: no caller of the session can leave it out."""
    port = URL(inside).port
    session = open_session(allows_private=False)
    try:
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)) as caught:
            await session.get(f"http://{host}:{port}/secret")
        cause = caught.value.__cause__ or caught.value
        assert isinstance(cause, (ForbiddenAddressError, aiohttp.InvalidURL)) or "public" in str(
            cause
        )
    finally:
        await session.close()


async def test_the_private_session_reaches_it_and_keeps_no_cookies(inside: str) -> None:
    session = open_session(allows_private=True)
    try:
        async with session.post(f"{inside}/secret", data=b"{}") as reply:
            assert await reply.text() == "secret"
            sent = {name.lower() for name in reply.request_info.headers}
        assert not sent & {"user-agent", "accept", "accept-encoding", "cookie", "content-type"}
        assert len(list(session.cookie_jar)) == 0
    finally:
        await session.close()


async def test_more_connections_than_any_default_limit_are_open_at_once() -> None:
    opened, release = 0, asyncio.Event()

    async def hold(_: web.Request) -> web.Response:
        nonlocal opened
        opened += 1
        if opened == 150:
            release.set()
        await release.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hold)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
    session = open_session(allows_private=True)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for _ in range(150):
                group.create_task(_get(session, url))
    finally:
        await session.close()
        await runner.cleanup()
    assert opened == 150


async def _get(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as reply:
        await reply.read()
