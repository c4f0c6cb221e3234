"""Which headers cross the gateway, both ways. Called by upstream.py and the reply modules.

To the upstream: everything but what is ours, the caller's secrets and the hop's own. To the
caller: only what OpenAI clients read, so that an upstream's cookies and server marks stay there.
"""

import re
from collections.abc import Mapping

from multidict import CIMultiDict

from proxy.wire_head import WireHeaders

HOP_BY_HOP = frozenset({
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
})  # fmt: skip
NEVER_SENT_UP = HOP_BY_HOP | {
    "host",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "accept",
    "accept-encoding",
    "cookie",
    "forwarded",
    "via",
    "cache-control",
    "pragma",
    "origin",
    "referer",
    "user-agent",
    "idempotency-key",
    "x-session-id",
    "x-request-id",
    "x-client-request-id",
    "x-real-ip",
    "client-ip",
    "true-client-ip",
    "x-client-ip",
    # Some servers take method, path or host from these: an upstream is asked for one thing only.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    # What would make an answer partial or empty.
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
}
NEVER_SENT_UP_PREFIXES = ("x-apex-", "x-stainless-", "x-forwarded-", "sec-", "cf-")
# What one vendor's clients say to it means nothing, or something else, to another: it stays here
# when a call is translated.
VENDOR_PREFIXES = ("openai-", "anthropic-", "x-goog-")
ONCE_ONLY = frozenset({"anthropic-version"})  # ours is a default, theirs replaces it
LONGEST_VALUE_CHARACTERS = 256
USUAL_CONNECTION = frozenset({"", "keep-alive", "close"})
SENT_DOWN = frozenset({"x-request-id", "request-id", "retry-after", "retry-after-ms"})
SENT_DOWN_PREFIXES = ("openai-", "x-ratelimit-", "anthropic-", "x-should-retry", "x-ms-")
SENT_DOWN_LINE = re.compile(
    "\r\n({}):[ \t]*([^\r]*)".format(
        "|".join([*sorted(SENT_DOWN), *(f"{each}[^:]*+" for each in SENT_DOWN_PREFIXES)])
    ),
    re.IGNORECASE | re.ASCII,
)


def headers_up(
    caller: Mapping[str, str],
    fixed: Mapping[str, str],
    call_id: str,
    *,
    is_mock: bool,
    is_translated: bool = False,
) -> CIMultiDict[str]:
    """Build the upstream's request headers from the caller's and the upstream's own."""
    headers = CIMultiDict(fixed)
    headers["x-client-request-id"] = call_id
    own = _own_to_the_hop(caller.get("Connection", ""))
    for name, value in caller.items():
        low = name.lower()
        if low in NEVER_SENT_UP or low.startswith(NEVER_SENT_UP_PREFIXES) or low in own:
            continue
        if low.startswith("x-mock-") and not is_mock:
            continue
        if is_translated and low.startswith(VENDOR_PREFIXES):
            continue
        if low in ONCE_ONLY:
            headers[name] = value
        else:
            headers.add(name, value)  # a header sent twice, as betas are, stays twice
    return headers


def _own_to_the_hop(connection: str) -> frozenset[str]:
    """Return the header names the caller marks as meant for this hop only."""
    low = connection.lower()
    if low in USUAL_CONNECTION:
        return frozenset()
    return frozenset(part.strip() for part in low.split(","))


def headers_down(upstream: Mapping[str, str]) -> dict[str, str]:
    """Keep of the upstream's response headers what a caller may see."""
    if isinstance(upstream, WireHeaders):
        return _lines_down(upstream.raw)
    kept: dict[str, str] = {}
    for name, value in upstream.items():
        low = name.lower()
        is_seen = low in SENT_DOWN or low.startswith(SENT_DOWN_PREFIXES)
        # Control characters arrive, but could not be sent: the answer would be lost with them.
        if is_seen and value.isprintable():
            kept[low] = value
    return kept


def _lines_down(raw: bytes) -> dict[str, str]:
    """Do the same with raw lines, of which only those that are kept are looked at."""
    kept: dict[str, str] = {}
    for name, value in SENT_DOWN_LINE.findall(raw.decode("utf-8", "surrogateescape")):
        text = value.rstrip(" \t")
        if text.isprintable():
            kept[name.lower()] = text
    return kept


def header_text(text: str) -> str:
    """Return text out of a body as it may stand in a header: printable ASCII, bounded.

    A model's name comes from the upstream, which could end the header with it and begin another.
    """
    kept = text[:LONGEST_VALUE_CHARACTERS]
    if kept.isascii() and kept.isprintable():
        return kept
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in kept)
