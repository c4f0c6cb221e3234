"""Sends the demo's requests when the trace says so, and notes what the client saw of each.

Used by the runner, for the gateway and, with no gateway between, for the mock alone.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from bench.demo.progress import Progress
from bench.demo.workload import Call

PATH = "/v1/chat/completions"
MOST_OPEN = 256
TIMEOUT_S = 60
LEAST_MOCK_MS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client saw of one call, in real milliseconds from the sending of the request."""

    call: Call
    status: int
    cache: str = ""
    served_model: str = ""
    policy: str = ""
    first_byte_ms: float = 0.0
    total_ms: float = 0.0
    error: str = ""

    @property
    def is_ok(self) -> bool:
        return self.status == 200 and not self.error

    @property
    def is_reused(self) -> bool:
        return self.cache in {"hit", "coalesced"}


def headers_of(call: Call, scale: float) -> dict[str, str]:
    """Who asks, and how the mock is to answer: so many tokens, after the model's scaled pace."""
    return {
        "Content-Type": "application/json",
        "X-Session-Id": call.session,
        "X-Apex-Tags": f"app={call.app}",
        "X-Mock-Output-Tokens": str(call.generated_tokens),
        "X-Mock-Latency-Ms": f"{max(LEAST_MOCK_MS, call.pace_ms / scale):.3f}",
    }


async def replay(
    url: str, api_key: str, calls: Sequence[Call], scale: float, start_s: float, title: str
) -> list[Seen]:
    """Send every call at its moment; `start_s` is when the trace begins, on time.monotonic()."""
    progress = Progress(title, len(calls))
    counts: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=MOST_OPEN)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    authorization = {"Authorization": f"Bearer {api_key}"}
    async with (
        aiohttp.ClientSession(
            url, headers=authorization, connector=connector, timeout=timeout
        ) as session,
        asyncio.TaskGroup() as group,
    ):

        async def send_and_count(call: Call) -> Seen:
            seen = await send(session, call, scale)
            counts[seen.cache if seen.is_ok else "errors"] += 1
            progress.advance(", ".join(f"{name} {n:,}" for name, n in counts.most_common() if name))
            return seen

        tasks = []
        for call in calls:
            delay_s = start_s + call.at_s / scale - time.monotonic()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            tasks.append(group.create_task(send_and_count(call)))
    progress.close()
    return [task.result() for task in tasks]


async def send(session: aiohttp.ClientSession, call: Call, scale: float) -> Seen:
    """One call to its last byte; an error is noted, not raised."""
    began = time.monotonic()
    try:
        async with session.post(PATH, data=call.body, headers=headers_of(call, scale)) as answer:
            first_byte = 0.0
            tail = b""
            async for chunk in answer.content.iter_any():
                first_byte = first_byte or time.monotonic()
                tail = (tail + chunk)[-4096:]
            ended = time.monotonic()
            return Seen(
                call,
                answer.status,
                answer.headers.get("x-apex-cache", ""),
                answer.headers.get("x-apex-model", ""),
                answer.headers.get("x-apex-policy", ""),
                (first_byte - began) * 1000,
                (ended - began) * 1000,
                _fault_of(call, answer.status, tail),
            )
    except (aiohttp.ClientError, TimeoutError) as error:
        return Seen(call, 0, error=repr(error)[:200])


def _fault_of(call: Call, status: int, tail: bytes) -> str:
    """What is wrong with an answer that came; a stream must have said that it is whole."""
    if status != 200:
        return tail.decode(errors="replace")[:200]
    if call.is_streaming and b"data: [DONE]" not in tail:
        return "the stream ended before its end"
    return ""
