"""Answers that are streams: relayed as they arrive, or a stored answer in that form.

Called by pipeline.py. The end marker goes out only after END is in the log; a stream that breaks
off ends with an error event, never with a clean end, and is never stored.
"""

import asyncio
from collections.abc import Iterable, Mapping

import orjson
from aiohttp import web

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from ledger.events import AttemptEnd, Outcome
from proxy.answer_reading import UpstreamAnswer
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.dialects.dialect import StreamTap
from proxy.error_shapes import shape_error_event
from proxy.errors import ClientGoneError, GatewayError, error_document
from proxy.event_stream import EventStream
from proxy.keep_alive import KeepAlive
from proxy.receipts import cost_headers, receipt
from proxy.recorder import Recorder, buckets_of, put_usage
from proxy.reply_headers import STREAM_HEADERS, answer_headers
from proxy.streaming.framing import OversizedEventError, split_events
from proxy.streaming.replay import as_stream
from proxy.streaming.unreadable import UNREADABLE
from proxy.upstream_client import TimeoutFault, UpstreamFault
from proxy.wire_headers import header_text

DRAIN_S = 1.0
WRITE_BYTES = 65_536
# Enough events to tell how many tokens the rest holds; more would cost memory in every stream.
SAMPLE_BYTES = 65_536


class StreamReply:
    """One stream to one caller."""

    def __init__(
        self,
        ctx: RequestContext,
        request: web.Request,
        recorder: Recorder,
        metrics: Metrics,
        clock: Clock,
        tasks: TaskOwner,
    ) -> None:
        self._ctx = ctx
        self._request = request
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self.response = EventStream(headers=STREAM_HEADERS)
        self._has_ended = False
        patience_s = ctx.live.snapshot.timeouts.stream_headers_s
        self._keep_alive = KeepAlive(
            request, self.response, patience_s, tasks, before=self._put_headers
        )

    @property
    def has_begun(self) -> bool:
        """Whether headers are out, so that an error must be told in the stream."""
        return self.response.prepared

    def _put_headers(self) -> None:
        """Say what is known already, for headers that go out before there is an answer."""
        self.response.headers.update(answer_headers(self._ctx, {}))

    async def stop_waiting(self) -> None:
        """End the keep-alive; called once, when the answer or the failure is known."""
        await self._keep_alive.stop()

    async def relay(self, answer: UpstreamAnswer) -> StoredAnswer | None:
        """Send an upstream's stream on; returns it whole when it may be stored."""
        tap, end, chunks = answer.tap, answer.end, answer.chunks
        if tap is None or chunks is None or answer.reply is None:
            raise RuntimeError("not a stream")
        end.client_status = answer.status
        try:
            await self._begin(answer.headers)
            await self._write(answer.first)
            if not tap.is_done and tap.error is None:
                await self._pump(answer, tap)
        except TimeoutFault:
            self._note(end, Outcome.upstream_timeout, "upstream_stream_stalled")
        except UpstreamFault:
            self._note(end, Outcome.truncated, "upstream_stream_cut")
        except OversizedEventError:
            self._note(end, Outcome.upstream_error, "upstream_event_too_large")
        finally:
            self._read_tap(answer, tap)
        await self._end(tap, end)
        return self._stored(tap, end) if end.outcome is Outcome.ok else None

    async def _pump(self, answer: UpstreamAnswer, tap: StreamTap) -> None:
        """Pass chunks on until the end marker; every chunk renews the idle deadline."""
        reply = answer.reply
        if answer.chunks is None or reply is None:
            raise RuntimeError("not a stream")
        now, feed = asyncio.get_running_loop().time, tap.feed
        idle_s = self._ctx.live.snapshot.timeouts.idle_s
        total_at = now() + self._ctx.deadline - self._clock.monotonic()
        reply.deadline = min(now() + idle_s, total_at)
        async for chunk in answer.chunks:
            out = feed(chunk)
            if out and not self._put(out):
                reply.deadline = total_at  # a slow caller is no stall of the upstream
                await self._write(out)
            if tap.is_done or tap.error is not None:
                return
            renewed = now() + idle_s
            reply.deadline = min(total_at, renewed)
        out = tap.finish()
        if out:
            await self._write(out)

    def _put(self, data: bytes) -> bool:
        """Write at once; False when the caller has to be waited for. ClientGoneError."""
        if self._may_block(data):
            return False
        try:
            is_out = self.response.put(data)
        except OSError as error:
            self._cut()
            raise ClientGoneError from error
        if is_out:
            self._note_written(data)
        return is_out

    def _may_block(self, data: bytes) -> bool:
        """Whether the caller still has bytes to take, or gets more than fits into buffers."""
        transport = self._request.transport
        is_behind = transport is not None and transport.get_write_buffer_size() > 0
        return is_behind or len(data) >= WRITE_BYTES

    async def _end(self, tap: StreamTap, end: AttemptEnd) -> None:
        """Settle the outcome, write END, then let the caller see the end."""
        if tap.error is not None:
            is_readable = tap.error is not UNREADABLE
            code = "upstream_stream_error" if is_readable else "upstream_event_unreadable"
            self._note(end, Outcome.upstream_error, code)
        elif not tap.is_done and end.outcome is Outcome.internal_error:
            self._note(end, Outcome.truncated, "upstream_stream_cut")
        elif tap.is_done:
            end.outcome = Outcome.ok
        if end.outcome is Outcome.ok:
            last = self._receipt(end) + tap.held
        elif tap.error is not None and tap.error is not UNREADABLE:
            last = tap.held
        else:
            last = self._error_event(tap, "The upstream's stream broke off.", end.error_code)
        self._recorder.finish(self._ctx)
        await self._write_last(last)

    def _read_tap(self, answer: UpstreamAnswer, tap: StreamTap) -> None:
        end = answer.end
        end.served_model = tap.model or end.upstream_model
        end.served_tier = tap.service_tier
        end.finish_reasons = [tap.finish_reasons[index] for index in sorted(tap.finish_reasons)]
        if tap.is_done or tap.finish_reasons:
            # The provider's own words, where a translation has seen them, tell more than ours.
            own = answer.translation.usage if answer.translation is not None else None
            put_usage(end, own or tap.usage, self._metrics)
        end.units |= tap.units
        if tap.object_ids:
            answer.claim(tap.object_ids)

    def _receipt(self, end: AttemptEnd) -> bytes:
        if not self._ctx.wishes.wants_receipt:
            return b""
        return b": x-apex-receipt %b\n\n" % orjson.dumps(receipt(self._ctx, end))

    def _stored(self, tap: StreamTap, end: AttemptEnd) -> StoredAnswer | None:
        body = tap.kept_stream
        if body is None:
            return None
        return StoredAnswer(
            form="sse",
            body=body,
            request_id=self._ctx.request_id,
            place=self._ctx.live.places[end.upstream],
            upstream_model=end.upstream_model,
            served_model=end.served_model,
            served_tier=end.served_tier,
            finish_reasons=end.finish_reasons,
            buckets=buckets_of(end),
            provider_usage=end.provider_usage,
            stored_at=self._clock.monotonic(),
            body_digest=self._ctx.body_digest,
        )

    async def replay(self, answer: StoredAnswer) -> None:
        """Send a stored answer as a stream."""
        end = self._recorder.serve_stored(self._ctx, answer)
        self.response.headers["x-apex-model"] = header_text(answer.served_model)
        await self._send_whole(answer, end)

    async def send_document(self, answer: StoredAnswer, end: AttemptEnd) -> None:
        """Send the document of an upstream that ignored `stream` as the stream it should be."""
        end.outcome, end.client_status = Outcome.ok, 200
        self._recorder.finish(self._ctx)
        await self._send_whole(answer, end)

    async def _send_whole(self, answer: StoredAnswer, end: AttemptEnd) -> None:
        self.response.headers.update(cost_headers(self._ctx, end))
        await self._begin({})
        batch: list[bytes] = []
        size = 0
        for event in self._events_of(answer):
            batch.append(event)
            size += len(event)
            if size >= WRITE_BYTES:
                await self._write(b"".join(batch))
                batch, size = [], 0
        await self._write_last(b"".join([*batch, self._receipt(end), self._ctx.dialect.replay_end]))

    def _events_of(self, answer: StoredAnswer) -> Iterable[bytes]:
        """The events of a stored answer; chat's usage and end are told as the caller asked."""
        if self._ctx.dialect.has_twins or self._ctx.dialect.usage_is_asked_for:
            return as_stream(answer, with_usage=self._ctx.asked_usage)
        return split_events(answer.body)

    async def fail(self, error: GatewayError) -> None:
        """Tell an error in a stream whose headers are out; nothing follows what has ended."""
        if self._has_ended:
            return
        shape = self._ctx.dialect.error_shape
        await self._write_last(shape_error_event(error.document(), error.status, shape))

    def _error_event(self, tap: StreamTap, message: str, code: str) -> bytes:
        document = error_document(message, "server_error", None, code)
        return shape_error_event(document, 502, self._ctx.dialect.error_shape, tap.next_number)

    async def _begin(self, upstream_headers: Mapping[str, str]) -> None:
        if not self.has_begun:
            self.response.headers.update(answer_headers(self._ctx, upstream_headers))
            try:
                await self.response.prepare(self._request)
            except OSError as error:
                raise ClientGoneError from error

    async def _write(self, data: bytes) -> None:
        if not data or self._put(data):
            return
        self._note_written(data)
        try:
            async with asyncio.timeout(self._ctx.live.snapshot.timeouts.idle_s):
                await self.response.write(data)
        except OSError as error:  # TimeoutError is one: who does not read is as good as gone
            self._cut()
            raise ClientGoneError from error

    async def _write_last(self, data: bytes) -> None:
        """Write what ends the stream, and the end of the body."""
        if self._may_block(data):
            await self._write(data)
        else:
            try:
                self._has_ended = self.response.put_last(data)
            except OSError as error:
                self._cut()
                raise ClientGoneError from error
            if self._has_ended:
                self._note_written(data)
                return
            await self._write(data)
        await self._eof()

    def _note_written(self, data: bytes) -> None:
        """Count what the caller gets; the beginning is kept for an estimate, should usage lack."""
        end = self._ctx.open_end
        if end is not None:
            room_bytes = SAMPLE_BYTES - end.response_bytes
            if room_bytes > 0:
                self._ctx.answer_sample.append(data[:room_bytes])
            end.response_bytes += len(data)

    def _cut(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _eof(self) -> None:
        self._has_ended = True
        idle_s = self._ctx.live.snapshot.timeouts.idle_s
        try:
            # It waits for room, too, when the last writes have filled the buffers.
            async with asyncio.timeout(idle_s if self._may_block(b"") else None):
                await self.response.write_eof()
        except OSError as error:
            self._cut()
            raise ClientGoneError from error

    def _note(self, end: AttemptEnd, outcome: Outcome, code: str) -> None:
        end.outcome, end.error_code = outcome, code


async def drain(answer: UpstreamAnswer) -> None:
    """Read what follows the end marker, so that the connection can be used again."""
    if answer.chunks is None or answer.reply is None:
        return
    answer.reply.deadline = asyncio.get_running_loop().time() + DRAIN_S
    try:
        async for _ in answer.chunks:
            pass
    except UpstreamFault:
        return
    finally:
        answer.reply.close()
