"""Sends the mix, first as fast as it is answered, then at a rate, and notes how each call ended.

Used by the runner. A latency is counted from when the call was due: a client that falls behind
does not make it shorter.
"""

import asyncio
import itertools
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp

from bench.soak.mix import Call, Ending, Leaving, make_call

PATH = "/v1/chat/completions"
TIMEOUT_S = 30.0
LEAVE_AFTER_S = 0.1
MOST_OPEN = 1000
MOST_EXAMPLES = 10
TAIL_BYTES = 2048


def _doubles() -> "array[float]":  # quoted: an array cannot be subscripted at run time
    return array("d")


@dataclass(slots=True)
class Tally:
    """What became of all calls; times in seconds since `began`, latencies in milliseconds."""

    began: float = field(default_factory=time.monotonic)
    ended: int = 0
    open: int = 0
    most_open: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    wrong_by_kind: Counter[str] = field(default_factory=Counter)
    wrong_at: "array[float]" = field(default_factory=_doubles)
    examples: list[str] = field(default_factory=list)
    timed_at: "array[float]" = field(default_factory=_doubles)
    timed_ms: "array[float]" = field(default_factory=_doubles)
    ended_at: "array[float]" = field(default_factory=_doubles)

    @property
    def wrong(self) -> int:
        return len(self.wrong_at)

    def note(self, call: Call, due: float, fault: str) -> None:
        """One call has ended; `fault` says what was not as it should be, or nothing."""
        now = time.monotonic()
        self.ended += 1
        self.ended_at.append(now - self.began)
        self.by_kind[call.kind.name] += 1
        if fault:
            self.wrong_by_kind[call.kind.name] += 1
            self.wrong_at.append(due - self.began)
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append(f"{call.kind.name} at {due - self.began:.1f} s: {fault}")
        elif call.kind.is_timed:
            self.timed_at.append(due - self.began)
            self.timed_ms.append((now - due) * 1000)


class Client:
    """One session of calls against a gateway."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._numbers: Iterator[int] = itertools.count()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self._url,
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=MOST_OPEN),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )

    async def burst(self, seconds: float, workers: int) -> Tally:
        """Each worker sends as soon as its last call has ended."""
        tally = Tally()
        until = tally.began + seconds

        async def work(session: aiohttp.ClientSession) -> None:
            while time.monotonic() < until:
                await self._call(session, make_call(next(self._numbers)), time.monotonic(), tally)

        async with self._open() as session, asyncio.TaskGroup() as tasks:
            for _ in range(workers):
                tasks.create_task(work(session))
        return tally

    async def send_at_rate(self, rate: float, seconds: float, tally: Tally) -> None:
        """Calls fall due at random moments, `rate` a second, whatever becomes of those before."""
        dice = random.Random(int(rate))  # noqa: S311  arrival times
        due, until = tally.began, tally.began + seconds
        async with self._open() as session, asyncio.TaskGroup() as tasks:
            while (due := due + dice.expovariate(rate)) < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                call = make_call(next(self._numbers))
                if tally.open >= MOST_OPEN:
                    tally.note(call, due, f"not sent: {MOST_OPEN} calls were open")
                else:
                    tasks.create_task(self._call(session, call, due, tally))

    async def _call(
        self, session: aiohttp.ClientSession, call: Call, due: float, tally: Tally
    ) -> None:
        tally.open += 1
        tally.most_open = max(tally.most_open, tally.open)
        try:
            if call.kind.leaves is Leaving.early:
                fault = await leave_early(session, call)
            else:
                fault = await send(session, call)
        except (aiohttp.ClientError, TimeoutError) as error:
            fault = "" if is_expected(call, error) else repr(error)[:200]
        finally:
            tally.open -= 1
        tally.note(call, due, fault)


def is_expected(call: Call, error: Exception) -> bool:
    """Whether a broken exchange is what this kind of call may come to; a hanging one never is."""
    return call.kind.ending is Ending.any and not isinstance(error, TimeoutError)


async def leave_early(session: aiohttp.ClientSession, call: Call) -> str:
    """Hang up while the upstream still thinks."""
    try:
        async with asyncio.timeout(LEAVE_AFTER_S):
            return await send(session, call)
    except TimeoutError:
        return ""


async def send(session: aiohttp.ClientSession, call: Call) -> str:
    """One call to its last byte, or to where the client leaves; what was wrong with it."""
    async with session.post(PATH, data=call.body, headers=call.headers) as answer:
        tail = b""
        async for chunk in answer.content.iter_any():
            tail = (tail + chunk)[-TAIL_BYTES:]
            if call.kind.leaves is Leaving.midway and answer.status == 200:
                answer.close()
                return ""
        return fault_of(call, answer.status, tail)


def fault_of(call: Call, status: int, tail: bytes) -> str:
    """What is wrong with an answer that has ended by itself."""
    said = f"{status} {tail[:160].decode(errors='replace')}"
    match call.kind.ending:
        case Ending.any:
            return ""
        case Ending.refused:
            return "" if status == 400 else said
        case Ending.left:
            return "" if status == 200 else said
        case Ending.whole:
            is_whole = b"data: [DONE]" in tail if call.kind.is_stream else tail.endswith(b"}")
            return "" if status == 200 and is_whole else said
