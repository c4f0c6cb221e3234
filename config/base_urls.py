"""Is this text fit to be the address of an upstream? One answer for apex.yaml, API and connector.

What a name leads to is checked when the connection is made (proxy.connector); here is all that the
text alone tells. Only plain spellings pass, so that no two parsers can read one in two ways.
"""

import re
from urllib.parse import urlsplit

from config.public_addresses import is_public_address

EXAMPLE = "https://api.openai.com/v1"
LONGEST_CHARACTERS = 2048
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# Names that are never anybody's on the internet, by their last labels.
_INSIDE = ("localhost", "local", "internal", "home.arpa", "lan", "intranet", "corp", "localdomain")


class BaseUrlError(Exception):
    """What is wrong with an address, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def check_base_url(url: str, *, allows_private: bool) -> str:
    """The address without slashes at its end. BaseUrlError."""
    host = _host_of(url)
    if "@" in url or "?" in url or "#" in url:
        raise BaseUrlError(
            "a base_url has no user, query or fragment",
            "keep scheme, host, port and path; the credential goes into api_key",
        )
    if not _is_plain_host(host):
        raise BaseUrlError("not an http(s) URL", f"write it as in {EXAMPLE}")
    if not allows_private:
        _check_public(url, host)
    return url.rstrip("/")


def _host_of(url: str) -> str:
    is_text = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>^`{|}')
    try:
        parts = urlsplit(url) if is_text and len(url) <= LONGEST_CHARACTERS else None
        if parts is not None and parts.scheme in {"http", "https"} and parts.port != 0:
            return parts.hostname or ""
    except ValueError:
        pass
    return ""


def _is_plain_host(host: str) -> bool:
    return bool(_NAME.fullmatch(host)) or (":" in host and bool(_IPV6.fullmatch(host)))


def _check_public(url: str, host: str) -> None:
    fault = check_public_host(host)
    if fault:
        raise BaseUrlError(
            f"{host} {fault}",
            "add allow_private: true to this upstream if it is meant to be reached there",
        )
    if url[:5].lower() != "https":
        raise BaseUrlError(
            "plain http would show the credential to the network",
            "use https, or add allow_private: true to this upstream",
        )


def check_public_host(host: str) -> str:
    """What keeps a host from being a public one; "" when the text alone says nothing against it."""
    name = host.lower().rstrip(".")
    if ":" in name or _DECIMAL.fullmatch(name):
        return "" if is_public_address(name) else "is not a public address"
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return "is an address in a spelling that is not the usual one"
    if any(name == each or name.endswith(f".{each}") for each in _INSIDE):
        return "is a name of the private network, not a public address"
    return ""
