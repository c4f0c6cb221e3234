"""Sends one Response as a stream, faults and all; called by responses.py.

A stream of its own creation bills what was generated, whoever ends it. A background Response goes
on without its stream: that one bills only at its end, and can be read again from any event.
"""

import asyncio
from dataclasses import dataclass, replace

from aiohttp import web

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.failing import cut_connection, stay_silent
from proxy.providers.mock.faults import FaultPlan
from proxy.providers.mock.rendering import Event, Usage
from proxy.providers.mock.responses_rendering import ResponseWriter
from proxy.providers.mock.responses_store import KeptResponse

_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
_EVENTS_PER_TURN = 32


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent to whom, how it goes wrong, and after which event it begins (-1: the first)."""

    http: web.Request
    headers: dict[str, str]
    plan: FaultPlan
    kept: KeptResponse
    after: int = -1


class ResponseStream:
    """One stream of one Response."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._kept = sending.kept
        self._plan = sending.plan
        self._writer = ResponseWriter(sending.kept.document)
        self._response = web.StreamResponse(headers={**sending.headers, **_HEADERS})
        self._generated_tokens = 0

    async def send(self) -> web.StreamResponse:
        try:
            await self._response.prepare(self._sending.http)
            if self._plan.silence == "headers":
                await stay_silent(self._sending.http)
            elif await self._send_events():
                await self._send_end()
        except ConnectionError:
            self._kept.call.state.clients_left += 1
        finally:
            # Also when the caller left and this task was cancelled; a no-op after _send_end.
            if not self._kept.request.is_background:
                self._charge(is_complete=False)
        return self._response

    def _usage(self) -> Usage:
        return replace(self._kept.usage, output_tokens=self._generated_tokens)

    def _charge(self, *, is_complete: bool) -> None:
        self._kept.call.charge(
            self._kept.request.chat.model, self._usage(), is_complete=is_complete
        )

    async def _send_events(self) -> bool:
        """Send the events; False when the plan broke the stream off."""
        is_broken = self._plan.garbage != "broken-json"
        for position, event in enumerate(self._writer.events()):
            if position and await self._is_broken_off():
                return False
            data = event.data
            if event.tokens and not is_broken:
                data, is_broken = data[: len(data) // 2] + b"\n\n", True
            await self._pace(position, event)
            self._generated_tokens += event.tokens
            if position > self._sending.after:
                await self._response.write(data)
        return True

    async def _pace(self, position: int, event: Event) -> None:
        if event.tokens and self._plan.token_ms:
            await asyncio.sleep(self._plan.token_ms * event.tokens / 1000)
        elif position % _EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)  # a long answer must not keep the others waiting

    async def _is_broken_off(self) -> bool:
        plan, http = self._plan, self._sending.http
        if plan.cut_after_tokens is not None and self._generated_tokens >= plan.cut_after_tokens:
            cut_connection(http)
            return True
        silent_at = plan.silence_after_tokens
        if silent_at is not None and self._generated_tokens >= silent_at:
            await stay_silent(http)
            return True
        if plan.garbage == "error-event" and self._generated_tokens:
            error = MockError("Simulated error inside a stream.", status=500)
            await self._response.write(self._writer.error(error.fields))
            return True
        return False

    async def _send_end(self) -> None:
        garbage = self._plan.garbage
        last = self._writer.last(None if garbage == "no-usage" else self._usage())
        if self._kept.request.is_background:
            self._kept.complete()
        else:
            self._charge(is_complete=garbage not in {"no-done", "broken-json"})
        if garbage != "no-done":
            await self._response.write_eof(last)
