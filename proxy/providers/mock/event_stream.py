"""Sends server-sent events at the plan's pace and bills whatever was generated, whoever ends it.

Used by the route modules whose streams are a list of pieces and an ending, of events or of plain
bytes (chat.py has its own).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import orjson
from aiohttp import web

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.exchange import Exchange
from proxy.providers.mock.failing import cut_connection, stay_silent
from proxy.providers.mock.rendering import Event
from proxy.providers.mock.shelf import Document

_EVENTS_PER_TURN = 32


def typed_event(document: Document, tokens: int = 0) -> Event:
    """Make an event named by its document's `type`."""
    name = str(document["type"]).encode()
    return Event(b"event: " + name + b"\ndata: " + orjson.dumps(document) + b"\n\n", tokens)


class EventStream:
    """One stream; `charge(tokens, is_complete)` is called once it ended, first call wins."""

    def __init__(
        self,
        exchange: Exchange,
        charge: Callable[[int, bool], None],
        content_type: str = "text/event-stream; charset=utf-8",
    ) -> None:
        self._exchange = exchange
        self._plan = exchange.plan
        self._charge = charge
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache"}
        self._response = web.StreamResponse(headers={**exchange.call.headers(), **headers})
        self._generated_tokens = 0

    async def send(self, events: Iterable[Event], ending: bytes) -> web.StreamResponse:
        http = self._exchange.http
        try:
            await self._response.prepare(http)
            if self._plan.silence == "headers":
                await stay_silent(http)
            elif await self._send_events(events):
                await self._send_ending(ending)
        except ConnectionError:
            self._exchange.call.state.clients_left += 1
        finally:
            self._charge(self._generated_tokens, False)
        return self._response

    async def _send_events(self, events: Iterable[Event]) -> bool:
        """Send the events; False when the plan broke the stream off."""
        for position, event in enumerate(self._spoilt(events)):
            if await self._is_broken_off():
                return False
            if event.tokens and self._plan.token_ms:
                await asyncio.sleep(self._plan.token_ms * event.tokens / 1000)
            elif position % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
            self._generated_tokens += event.tokens
            await self._response.write(event.data)
        return True

    def _spoilt(self, events: Iterable[Event]) -> Iterator[Event]:
        """Cut the first event with content in half where broken JSON was asked for."""
        is_broken = self._plan.garbage != "broken-json"
        for event in events:
            if event.tokens and not is_broken:
                is_broken = True
                yield Event(event.data[: len(event.data) // 2] + b"\n\n", event.tokens)
            else:
                yield event

    async def _is_broken_off(self) -> bool:
        plan, tokens = self._plan, self._generated_tokens
        if plan.cut_after_tokens is not None and tokens >= plan.cut_after_tokens:
            cut_connection(self._exchange.http)
            return True
        if plan.silence_after_tokens is not None and tokens >= plan.silence_after_tokens:
            await stay_silent(self._exchange.http)
            return True
        if plan.garbage == "error-event" and tokens:
            error = MockError("Simulated error inside a stream.", status=500)
            await self._response.write(b"data: " + error.body() + b"\n\n")
            return True
        return False

    async def _send_ending(self, ending: bytes) -> None:
        is_whole = self._plan.garbage not in {"no-done", "broken-json"}
        self._charge(self._generated_tokens, is_whole)
        if self._plan.garbage != "no-done":
            await self._response.write_eof(ending)
