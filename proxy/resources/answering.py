"""The answer of a resource call on its way to the caller: a document, events, or bytes of any kind.

Called by relay.py. Objects an answer names are claimed before the caller learns their ids, and END
is in the log before the last byte: of a body that comes in pieces the last one is held back.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from aiohttp import web

from ledger.events import AttemptEnd, Outcome
from proxy.admission import Admission
from proxy.context import RequestContext
from proxy.error_shapes import shape_error_event
from proxy.errors import ClientGoneError, GatewayError, error_document
from proxy.reply_headers import answer_headers
from proxy.resources.learning import Lesson
from proxy.streaming.framing import EventFramer, OversizedEventError, data_of, split_events
from proxy.upstream_client import UpstreamFault, UpstreamReply

LARGEST_DOCUMENT_BYTES = 67_108_864
# Headers that describe a file; none of them can carry anything of the upstream's own.
FILE_HEADERS = ("Content-Disposition", "Content-Length")
EVENTS = "text/event-stream"


class ResourceAnswer:
    """One answer; what its documents say goes into `lesson`."""

    def __init__(
        self, ctx: RequestContext, request: web.Request, lesson: Lesson, admission: Admission
    ) -> None:
        self._ctx = ctx
        self._request = request
        self._lesson = lesson
        self._admission = admission

    @property
    def _end(self) -> AttemptEnd:
        if self._ctx.open_end is None:
            raise RuntimeError("an answer needs an open attempt")
        return self._ctx.open_end

    async def relay(self, reply: UpstreamReply) -> web.StreamResponse:
        """Send an upstream's good answer to the caller."""
        kind = reply.headers.get("Content-Type", "application/octet-stream")
        try:
            if kind.partition(";")[0].strip().endswith("json"):
                return await self._relay_document(reply)
            return await self._relay_pieces(reply, kind)
        finally:
            reply.close()

    async def _relay_document(self, reply: UpstreamReply) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._ctx.live.snapshot.timeouts.total_s):
                body = await reply.read(LARGEST_DOCUMENT_BYTES)
        except (UpstreamFault, TimeoutError) as error:
            self._note(Outcome.truncated, "upstream_answer_cut")
            message = "The upstream's answer broke off."
            raise GatewayError(502, "upstream_answer_cut", message, "Retry later.") from error
        document = _object_in(body)
        if document is not None:
            self._lesson.take(self._end, document)
        return self.finish_document(reply.status, reply.headers, body)

    def finish_document(
        self, status: int, upstream_headers: Mapping[str, str], body: bytes
    ) -> web.Response:
        """Record a whole answer and build its reply."""
        self._close(status)
        self._end.response_bytes = len(body)
        self._admission.recorder.finish(self._ctx)
        headers = answer_headers(self._ctx, upstream_headers)
        return web.Response(
            status=status, body=body, content_type="application/json", headers=headers
        )

    async def _relay_pieces(self, reply: UpstreamReply, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=self._headers(reply, kind))
        is_events = kind.startswith(EVENTS)
        framer = EventFramer() if is_events else None
        held = b""
        try:
            async for piece in self._pieces(reply):
                whole = self._read_events(framer, piece) if framer else piece
                if whole:
                    await self._send(response, held)
                    held = whole
        except (UpstreamFault, TimeoutError, OversizedEventError):
            self._note(Outcome.truncated, "upstream_stream_cut")
            held += self._cut_event() if is_events else b""
        else:
            held += framer.pending if framer else b""
            self._close(reply.status)
        self._admission.recorder.finish(self._ctx)
        await self._send(response, held)
        if self._end.outcome is Outcome.truncated and not is_events:
            raise self._cut()
        await response.write_eof()
        return response

    async def _pieces(self, reply: UpstreamReply) -> AsyncIterator[bytes]:
        """The body as it comes; TimeoutError when it stalls."""
        chunks = reply.chunks()
        while True:
            async with asyncio.timeout(self._ctx.live.snapshot.timeouts.idle_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _read_events(self, framer: EventFramer, piece: bytes) -> bytes:
        whole = framer.feed(piece)
        for event in split_events(whole) if whole else ():
            document = _object_in(data_of(event))
            if document is not None:
                # Events of a kept response carry it whole, in a field of that name.
                inner = document.get("response")
                self._lesson.take(self._end, inner if isinstance(inner, dict) else document)
        return whole

    def _headers(self, reply: UpstreamReply, kind: str) -> dict[str, str]:
        headers = {**answer_headers(self._ctx, reply.headers), "Content-Type": kind}
        if kind.startswith(EVENTS):
            return {**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        for name in FILE_HEADERS:
            value = reply.headers.get(name, "")
            if value.isprintable() and value and "Content-Encoding" not in reply.headers:
                headers[name] = value
        return headers

    async def _send(self, response: web.StreamResponse, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._ctx.live.snapshot.timeouts.idle_s):
                if not response.prepared:
                    await response.prepare(self._request)
                if data:
                    self._end.response_bytes += len(data)
                    await response.write(data)
        except OSError as error:  # TimeoutError is one: who does not read is as good as gone
            raise self._cut() from error

    def _cut(self) -> ClientGoneError:
        """Cut the caller's connection: it must not take half a file for a whole one."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return ClientGoneError()

    def _cut_event(self) -> bytes:
        code = self._end.error_code
        document = error_document("The upstream's stream broke off.", "server_error", None, code)
        return shape_error_event(document, 502, "responses")

    def _close(self, status: int) -> None:
        self._end.outcome, self._end.client_status = Outcome.ok, status
        self._lesson.put_cost(self._end, self._ctx.doc)

    def _note(self, outcome: Outcome, code: str) -> None:
        self._end.outcome, self._end.error_code = outcome, code


def _object_in(data: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
