"""Where the gateway may connect to: the SSRF guard under every upstream client.

A public upstream is resolved once and connected to by that address, so that a name cannot answer
differently the second time; addresses that are not global are refused unless the operator said
`allow_private` for this upstream.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from config.errors import ConfigError

KEEPALIVE_S = 55.0
NAT64_PREFIX = "64:ff9b:"
SIX_TO_FOUR = 0x2002
TEREDO = 0x20010000


class ForbiddenAddressError(OSError):
    """The name of a public upstream leads to an address inside the network."""


def is_public_address(text: str) -> bool:
    """Return whether an address is global, looking through every way to wrap an IPv4 one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = _wrapped_ipv4(address)
        if inner is not None:
            return _is_global(inner)
    return _is_global(address)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if number >> 112 == SIX_TO_FOUR:
        return IPv4Address((number >> 80) & 0xFFFFFFFF)
    if number >> 96 == TEREDO:
        return IPv4Address(~number & 0xFFFFFFFF)
    if address.exploded.startswith("0064:ff9b:") or number >> 32 == 0:
        return IPv4Address(number & 0xFFFFFFFF)
    return None


class GuardedResolver(AbstractResolver):
    """Resolves names and lets only public addresses through."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [entry for entry in found if is_public_address(entry["host"])]
        if not public:
            raise ForbiddenAddressError(
                f"{host} leads to no public address; set allow_private for this upstream if it "
                "is meant to be inside your network"
            )
        return public

    async def close(self) -> None:
        await self._inner.close()


def check_upstream_url(url: URL, *, allows_private: bool) -> None:
    """Refuse an upstream address that a public upstream may not have; raises ConfigError."""
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(f"{url} is not an http(s) address.", "Write https://host/v1.")
    if url.user is not None or url.password is not None:
        raise ConfigError(f"{url.host} carries a user name.", "Put the secret in api_key.")
    if allows_private:
        return
    if url.scheme != "https":
        raise ConfigError(
            f"{url} is not encrypted.", "Use https, or set allow_private for a local server."
        )
    if _is_literal(url.host) and not is_public_address(url.host):
        raise ConfigError(
            f"{url.host} is not a public address.", "Set allow_private for a local server."
        )


def _is_literal(host: str) -> bool:
    try:
        socket.inet_aton(host)  # also 127.1, 0x7f000001, 2130706433
    except OSError:
        return ":" in host
    return True


def open_session(*, allows_private: bool) -> aiohttp.ClientSession:
    """Open a client session without proxies, cookies, a connection limit or its own deadlines.

    The default limit of 100 connections would cap throughput; admission is limits.py's work.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=60,
        keepalive_timeout=KEEPALIVE_S,
        resolver=None if allows_private else GuardedResolver(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        trust_env=False,
        raise_for_status=False,
        max_line_size=32_768,
        max_field_size=32_768,
        read_bufsize=262_144,
    )
