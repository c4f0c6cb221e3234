"""The body an upstream gets: the caller's own bytes unless the decision changed something.

Called by upstream.py for each attempt. Changes touch only the named fields, all others stay.
"""

from typing import Any

import orjson

from policies.snapshot import Target
from proxy.context import RequestContext
from proxy.live import UpstreamDoor

MODEL_LETTER_ESCAPE = b"\\u006"  # all letters of "model" lie here; nobody escapes plain letters

SMALL_BODY_BYTES = 4096
FEW_QUOTES = 512


def body_for(ctx: RequestContext, target: Target, door: UpstreamDoor) -> bytes:
    """Return the bytes to relay to this target."""
    changes = _changes(ctx, target, door)
    if not changes and (_names_model_once(ctx.body) or not ctx.dialect.names_model):
        return ctx.body
    return orjson.dumps({**ctx.doc, **changes})


def changed_document(ctx: RequestContext, target: Target, door: UpstreamDoor) -> dict[str, Any]:
    """Return the document to translate for this target."""
    return {**ctx.doc, "model": target.model, **_changes(ctx, target, door)}


def _changes(ctx: RequestContext, target: Target, door: UpstreamDoor) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if target.model != ctx.doc.get("model") and ctx.dialect.names_model:
        changes["model"] = target.model
    clamp = ctx.decision.clamp_output_tokens if ctx.decision else None
    if clamp is not None and ctx.dialect.output_bounds:
        changes |= clamp_fields(ctx.doc, clamp, ctx.dialect.output_bounds)
    if injects_usage(ctx, door):
        changes["stream_options"] = {**(ctx.doc.get("stream_options") or {}), "include_usage": True}
    return changes


def _names_model_once(body: bytes) -> bool:
    """Return whether every JSON reader finds the model we found: named once, and not in escapes.

    A document that names it twice is read by us one way and perhaps by the upstream the other.
    """
    if MODEL_LETTER_ESCAPE in body:
        return False
    if len(body) > SMALL_BODY_BYTES:
        # Long texts have few quotes, and what stands between two of them is found sooner.
        parts = body.split(b'"', FEW_QUOTES)
        if len(parts) <= FEW_QUOTES:
            return parts.count(b"model") == 1
    return body.count(b'"model"') == 1


def injects_usage(ctx: RequestContext, door: UpstreamDoor) -> bool:
    """Return whether we ask for usage on a stream whose caller did not."""
    return (
        ctx.is_streaming
        and not ctx.asked_usage
        and ctx.dialect.usage_is_asked_for
        and door.asks_usage
    )


def clamp_fields(doc: dict[str, Any], limit: int, bounds: tuple[str, ...]) -> dict[str, int]:
    """Return the output bound in the fields the caller used, or in the current one."""
    asked = {name: doc[name] for name in bounds if doc.get(name) is not None}
    return {name: min(value, limit) for name, value in asked.items()} or {bounds[0]: limit}
