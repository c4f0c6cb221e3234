"""What a caller sends to a route that is no dialect: nothing, a JSON document, or a form.

Called by relay.py. A form is never held whole: its first bytes are looked into for the model, then
everything streams through, within the gateway's cap.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import StreamReader, web

from proxy.errors import GatewayError, InvalidRequestError
from proxy.intake import BODY_DEADLINE_S, parse_document, read_body
from proxy.resources.multipart import (
    PEEK_BYTES,
    FormField,
    boundary_of,
    find_model,
    form_references,
)
from proxy.strict_server import invite_body

LARGEST_UPLOAD_BYTES = 536_870_912  # what OpenAI takes as one file


@dataclass(slots=True)
class Incoming:
    """One request's content; `document` is {} where there is none to read."""

    content_type: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    references: list[tuple[str, str]] = field(default_factory=list)
    model: str = ""
    whole: bytes = b""
    peeked: bytes = b""
    model_field: FormField | None = None
    rest: StreamReader | None = None
    received_bytes: int = 0

    def body(self, model: str) -> bytes | AsyncIterator[bytes]:
        """Return what to send on, with the upstream's own name of the model in it."""
        if self.rest is not None:
            return self._stream(model)
        if self.document and model and self.document.get("model") not in {None, model}:
            return orjson.dumps({**self.document, "model": model})
        return self.whole

    async def _stream(self, model: str) -> AsyncIterator[bytes]:
        head = self.peeked
        if self.model_field is not None and model and model != self.model_field.value:
            place = self.model_field
            head = head[: place.start] + model.encode() + head[place.end :]
        yield head
        if self.rest is None:
            return
        async for chunk in self.rest.iter_any():
            self.received_bytes += len(chunk)
            if self.received_bytes > LARGEST_UPLOAD_BYTES:
                raise InvalidRequestError("The upload is larger than 512 MiB.", "Send less.")
            yield chunk


async def read_incoming(request: web.Request, max_body_bytes: int) -> Incoming:
    """Read as much of a request as routing needs; raises GatewayError."""
    content_type = request.headers.get("Content-Type", "")
    if not request.can_read_body:
        return Incoming()
    if content_type.lower().startswith("multipart/form-data"):
        return await _read_form(request, content_type)
    whole = await read_body(request, max_body_bytes)
    is_json = "json" in content_type.lower() or whole[:1] == b"{"
    document = parse_document(whole) if whole and is_json else {}
    model = document.get("model", "")
    if not isinstance(model, str):
        raise InvalidRequestError("The field model is not a string.", "Name one.", param="model")
    return Incoming(
        content_type=content_type,
        document=document,
        model=model,
        whole=whole,
        received_bytes=len(whole),
    )


async def _read_form(request: web.Request, content_type: str) -> Incoming:
    boundary = boundary_of(content_type)
    length = request.content_length
    if length is not None and length > LARGEST_UPLOAD_BYTES:
        raise GatewayError(413, "request_too_large", "The upload is larger than 512 MiB.", "")
    if "Content-Encoding" in request.headers:
        raise InvalidRequestError("A form may not be packed.", "Send it without Content-Encoding.")
    peeked = bytearray()
    found: FormField | None = None
    reader = request.content
    await invite_body(request)
    while len(peeked) < PEEK_BYTES and found is None and not reader.at_eof():
        async with asyncio.timeout(BODY_DEADLINE_S):
            chunk = await reader.readany()
        if not chunk:
            break
        peeked += chunk
        found = find_model(bytes(peeked), boundary)
    head = bytes(peeked)
    return Incoming(
        content_type=content_type,
        references=form_references(head, boundary),
        model=found.value if found else "",
        peeked=head,
        model_field=found,
        rest=reader,
        received_bytes=len(head),
    )
