"""From bytes to a request: the caller's headers, the body, one shallow parse, the first checks.

Called by pipeline.py. Unknown fields pass untouched; only what we must read is checked, so that a
parameter a provider adds tomorrow works today.
"""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiMapping

from optimizer.caching import TRANSPORT_FIELDS, allows_store, is_deterministic
from proxy.context import CallerWishes, RequestContext
from proxy.dialects.reading import model_of
from proxy.errors import GatewayError, InvalidRequestError
from proxy.strict_server import invite_body

BODY_DEADLINE_S = 60.0
MOST_TAGS = 16
LONGEST_TAG_CHARACTERS = 128
LONGEST_HEADER_CHARACTERS = 256
# A list or object takes 25 times its bytes once parsed: beyond this a body is no prompt.
MOST_CONTAINERS = 1_000_000
COUNTED_FROM_BYTES = 1_048_576
ROUTING_FIELDS = frozenset({
    "api_base", "base_url", "api_key", "api_version", "custom_llm_provider",
})  # fmt: skip


def read_wishes(headers: MultiMapping[str]) -> CallerWishes:
    """Read the request controls of a call; raises InvalidRequestError on malformed ones."""
    return CallerWishes(
        cache_control=_control(headers, "Cache-Control"),
        is_no_optimize=headers.get("x-apex-no-optimize", "") in {"1", "true"},
        wants_receipt=headers.get("x-apex-receipt", "") in {"1", "true"},
        tags=parse_tags(",".join(headers.getall("x-apex-tags", ()))),
        session=_control(headers, "x-session-id"),
        idempotency_key=_control(headers, "Idempotency-Key"),
        retry_count=_whole_number(headers.get("x-stainless-retry-count", "")),
        client_timeout_s=_seconds(headers.get("x-stainless-read-timeout", "")),
        latency_objective_ms=_whole_number(headers.get("x-apex-latency-objective-ms", "")),
    )


def _control(headers: MultiMapping[str], name: str) -> str:
    """Return a header, all its lines joined, as text that can be hashed and stored.

    Too long is refused: cut short, two idempotency keys could become one, or a no-store be lost.
    """
    if name not in headers:
        return ""
    text = ",".join(headers.getall(name))
    if len(text) > LONGEST_HEADER_CHARACTERS:
        raise InvalidRequestError(
            f"The header {name} has {len(text)} characters.",
            f"Send at most {LONGEST_HEADER_CHARACTERS}.",
            param=name,
        )
    # Bytes that are no UTF-8 arrive as lone surrogates; escaped, unlike ones stay unlike.
    return text.encode(errors="backslashreplace").decode()


def parse_tags(text: str) -> dict[str, str]:
    """Parse `k=v,k=v`; bounded, because tags are stored with every event."""
    tags: dict[str, str] = {}
    text = text.encode(errors="backslashreplace").decode()
    for part in text.split(",") if text else ():
        name, separator, value = part.strip().partition("=")
        if not name and not separator:
            continue
        if not name or not separator or len(part) > LONGEST_TAG_CHARACTERS:
            raise InvalidRequestError(
                "The header x-apex-tags is malformed.",
                f"Write it as k=v,k=v with at most {LONGEST_TAG_CHARACTERS} characters a tag.",
                param="x-apex-tags",
            )
        tags[name.strip()] = value.strip()
    if len(tags) > MOST_TAGS:
        raise InvalidRequestError(
            f"The header x-apex-tags has {len(tags)} tags.",
            f"Send at most {MOST_TAGS}.",
            param="x-apex-tags",
        )
    return tags


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 < value < 1e6 else 0.0


def check_size(body: bytes, max_body_bytes: int) -> bytes:
    """Return a body that came with its head; raises 413."""
    if len(body) > max_body_bytes:
        raise _too_large(max_body_bytes)
    return body


async def read_body(request: web.Request, max_body_bytes: int) -> bytes:
    """Read the whole body within its cap; raises 413, 408 or 400 in the caller's shape."""
    length = request.content_length
    if length is not None and length > max_body_bytes:
        raise _too_large(max_body_bytes)
    try:
        if request.content.is_eof():  # it came with the head: nothing to wait for
            return await request.read()
        async with asyncio.timeout(BODY_DEADLINE_S):
            await invite_body(request)
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(max_body_bytes) from error
    except TimeoutError as error:
        raise GatewayError(
            408,
            "request_timeout",
            f"The body did not arrive within {BODY_DEADLINE_S:.0f} seconds.",
            "Check the network between you and the gateway.",
        ) from error
    except (web.RequestPayloadError, ValueError) as error:
        raise InvalidRequestError(
            "The body could not be read.", "Check Content-Length and Content-Encoding."
        ) from error


def _too_large(max_body_bytes: int) -> GatewayError:
    return GatewayError(
        413,
        "request_too_large",
        f"The body is larger than {max_body_bytes / 1_048_576:.0f} MiB.",
        "Send less, or have the operator raise limits.max_body_bytes.",
    )


def parse_body(ctx: RequestContext, body: bytes) -> None:
    """Parse once and fill in what every stage reads.

    A path that names model and streaming, as Azure's and Gemini's do, has been read before.
    """
    ctx.body = body
    ctx.doc = doc = parse_document(body)
    if not ctx.model:
        ctx.model = model_of(doc)
    asked = ctx.dialect.read_request(doc)
    ctx.is_streaming = ctx.is_streaming or asked.is_streaming
    ctx.asked_usage = asked.asked_usage
    ctx.max_output_tokens = asked.max_output_tokens
    ctx.choices_n = asked.choices_n
    ctx.allows_store = allows_store(doc, ctx.endpoint)
    ctx.is_deterministic = is_deterministic(doc, ctx.endpoint)


def parse_document(body: bytes) -> dict[str, Any]:
    """Parse a body and refuse what no route takes; raises InvalidRequestError."""
    doc = _load(body)
    if not ROUTING_FIELDS.isdisjoint(doc):
        _refuse_routing_fields(doc)
    if not TRANSPORT_FIELDS.isdisjoint(doc):
        _refuse_deep_extras(doc)
    return doc


def _load(body: bytes) -> dict[str, Any]:
    if len(body) > COUNTED_FROM_BYTES and body.count(b"[") + body.count(b"{") > MOST_CONTAINERS:
        raise InvalidRequestError(
            "The body holds too many lists or objects.",
            f"Send at most {MOST_CONTAINERS:,} opening brackets and braces.",
        )
    try:
        doc = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(
            f"The body is not valid JSON: {error}.",
            "Send one JSON object in UTF-8 with Content-Type: application/json.",
        ) from error
    if not isinstance(doc, dict):
        raise InvalidRequestError(
            "The body must be a JSON object.", 'Send {"model": ..., "messages": [...]}.'
        )
    return doc


def _refuse_routing_fields(doc: dict[str, Any]) -> None:
    for name in sorted(ROUTING_FIELDS):
        if name in doc:
            raise InvalidRequestError(
                f"The field {name} is not accepted.",
                "Where a call goes is the operator's choice: leave the field out.",
                param=name,
            )


def _refuse_deep_extras(doc: dict[str, Any]) -> None:
    """Refuse what could not be written again; the fields that are hashed are checked there."""
    for name in TRANSPORT_FIELDS:
        value = doc.get(name)
        if not isinstance(value, (dict, list)):
            continue
        try:
            orjson.dumps({name: value})
        except orjson.JSONEncodeError as error:
            raise InvalidRequestError(
                f"The field {name} is nested too deeply.",
                "Flatten it to at most 254 levels.",
                param=name,
            ) from error
