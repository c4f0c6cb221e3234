"""The body an upstream gets: the caller's own bytes unless the decision changed something.

Called by upstream.py for each attempt. Changes touch only the named fields, all others stay.
"""

from typing import Any

import orjson

from policies.snapshot import Target
from proxy.context import RequestContext
from proxy.live import UpstreamDoor


def body_for(ctx: RequestContext, target: Target, door: UpstreamDoor) -> bytes:
    """Return the bytes to send to this target."""
    changes: dict[str, Any] = {}
    if target.model != ctx.model:
        changes["model"] = target.model
    clamp = ctx.decision.clamp_output_tokens if ctx.decision else None
    if clamp is not None:
        changes |= clamp_fields(ctx.doc, clamp)
    if injects_usage(ctx, door):
        changes["stream_options"] = {**(ctx.doc.get("stream_options") or {}), "include_usage": True}
    # A document that names its model twice is read by us one way and perhaps by them the other.
    if not changes and ctx.body.count(b'"model"') == 1:
        return ctx.body
    return orjson.dumps({**ctx.doc, **changes})


def injects_usage(ctx: RequestContext, door: UpstreamDoor) -> bool:
    """Return whether we ask for usage on a stream whose caller did not."""
    return ctx.is_streaming and not ctx.asked_usage and door.upstream.stream_usage


def clamp_fields(doc: dict[str, Any], limit: int) -> dict[str, int]:
    """Return the output bound in the field the caller used, or in the current one."""
    used = [name for name in ("max_completion_tokens", "max_tokens") if doc.get(name) is not None]
    return dict.fromkeys(used or ["max_completion_tokens"], limit)
