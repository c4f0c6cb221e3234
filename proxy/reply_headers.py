"""The headers every data-plane answer carries. Called by all reply modules and app.py."""

from collections.abc import Mapping

from proxy.context import RequestContext
from proxy.wire_headers import header_text, headers_down

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold a slow stream back
}

RATE_PREFIX = "x-ratelimit-"


def apex_headers(ctx: RequestContext) -> dict[str, str]:
    """Return our own headers as far as they are known."""
    headers = {"x-apex-request-id": ctx.request_id, "x-apex-cache": ctx.cache}
    if ctx.open_end is not None:
        headers["x-apex-model"] = header_text(ctx.open_end.served_model)
    if ctx.decision is not None:
        headers["x-apex-policy"] = ctx.decision.policy_revision
    elif ctx.key is not None and ctx.key.tenant in ctx.live.snapshot.tenants:
        # Errors carry these headers, too: nothing may be looked up here that could be missing.
        headers["x-apex-policy"] = ctx.live.snapshot.tenants[ctx.key.tenant].policy_revision
    return headers


def answer_headers(ctx: RequestContext, upstream: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer: what passes from the upstream, and ours."""
    headers = headers_down(upstream)
    headers.update(apex_headers(ctx))
    if ctx.hold is not None:
        _put_limits(headers, ctx.hold.headers)
    headers.setdefault("x-request-id", ctx.request_id)
    return headers


def _put_limits(headers: dict[str, str], own: Mapping[str, str]) -> None:
    """Put in our own limits; those of the upstream's are not the caller's, and never mixed in."""
    if any(name.startswith(RATE_PREFIX) for name in own):
        for name in [name for name in headers if name.lower().startswith(RATE_PREFIX)]:
            del headers[name]
    headers.update(own)
