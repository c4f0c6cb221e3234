"""Where the gateway may connect to: the SSRF guard under every upstream client.

A public upstream is resolved once and connected to by that address, so that a name cannot answer
differently the second time; addresses that are not global are refused unless the operator said
`allow_private` for this upstream.
"""

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from config.base_urls import BaseUrlError, check_base_url, check_public_host
from config.errors import ConfigError
from config.public_addresses import is_public_address

KEEPALIVE_S = 55.0


class ForbiddenAddressError(OSError):
    """The name of a public upstream leads to an address inside the network."""


class RedirectRefusedError(aiohttp.ClientResponseError):
    """An upstream answered with another address."""


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


def check_upstream_text(base_url: str, *, allows_private: bool) -> None:
    """Refuse an address that two parsers could read in two ways; raises ConfigError."""
    try:
        check_base_url(base_url, allows_private=allows_private)
    except BaseUrlError as error:
        raise ConfigError(f"base_url: {error.message}", error.hint) from None


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
    fault = check_public_host(url.host)
    if fault:
        raise ConfigError(f"{url.host} {fault}.", "Set allow_private for a local server.")


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
        trace_configs=[_refusing_redirects()],
    )


def _refusing_redirects() -> aiohttp.TraceConfig:
    """A web socket's handshake has no `allow_redirects`: nowhere may a key be sent on to."""
    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(_refuse_redirect)
    return config


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: object, params: aiohttp.TraceRequestRedirectParams
) -> None:
    params.response.close()
    raise RedirectRefusedError(params.response.request_info, (), status=params.response.status)
