"""Where the gateway may connect to: the SSRF guard under every upstream client.

A public upstream is resolved once and connected to by that address, so that a name cannot answer
differently the second time; addresses that are not global are refused unless the operator said
`allow_private` for this upstream.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from config.errors import ConfigError

KEEPALIVE_S = 55.0
NAT64_PREFIX = 0x0064_FF9B << 64  # 64:ff9b::/96, shifted right by the 32 bits of the address
SIX_TO_FOUR = 0x2002
TEREDO = 0x20010000
GLOBAL_UNICAST = 0b001  # 2000::/3: everything else is local, reserved or a wrapping of IPv4
# Inside, though the registries or some releases of ipaddress call them global: Azure's host,
# protocol assignments (Oracle's metadata among them), 6to4 relays, documentation.
NOT_PUBLIC = tuple(
    map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
)


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
    if isinstance(address, IPv6Address) and int(address) >> 125 != GLOBAL_UNICAST:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in NOT_PUBLIC)


def _wrapped_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if number >> 112 == SIX_TO_FOUR:
        return IPv4Address((number >> 80) & 0xFFFFFFFF)
    if number >> 96 == TEREDO:
        return IPv4Address(~number & 0xFFFFFFFF)
    if number >> 32 in {NAT64_PREFIX, 0}:
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


def open_public_socket(address_info: AddrInfoType) -> socket.socket:
    """Make the socket for one address of a public upstream: the last look before connecting.

    The resolver is not asked about addresses written out in a URL; this is.
    """
    family, kind, protocol, _, address = address_info
    if not is_public_address(str(address[0])):
        raise ForbiddenAddressError(f"{address[0]} is not a public address")
    return socket.socket(family, kind, protocol)


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
    host = url.host.rstrip(".")
    if _is_literal(host) and not is_public_address(host):
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
        socket_factory=None if allows_private else open_public_socket,
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
