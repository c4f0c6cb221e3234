"""Runs a row of the fault matrix through the real proxy and says what came of it.

Used by test_upstream_rows.py. Each row has a gateway of its own, because breakers and the retry
budget remember; each run in it has upstreams of its own for the same reason.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import openai

from policies.model import Policy
from policies.snapshot import Target, Upstream
from tests import fault_replies as replies
from tests.fault_replies import ANSWER
from tests.fault_upstream import FaultUpstream
from tests.faults.places import open_place
from tests.faults.row import Row, Seen
from tests.gateway import wait_until
from tests.proxy.calls import treated_user
from tests.proxy_gateway import ProxyGateway, local_upstream

ALWAYS_CACHED = Policy.model_validate(
    {"name": "cached", "rules": [{"name": "all", "cache": {"when": "always"}}]}
)
CALLS = ("document", "stream")
SETTINGS = ("alone", "backed")  # without and with a second upstream
SHOWN_HEADERS = ("retry-after", "x-should-retry")


@dataclass(frozen=True, slots=True)
class Bench:
    """A gateway, its client, and the scripted upstreams by name."""

    gateway: ProxyGateway
    client: openai.AsyncOpenAI
    upstreams: dict[str, FaultUpstream]


async def observe(row: Row, directory: Path, client: openai.AsyncOpenAI) -> dict[str, Seen]:
    """Run the row in each of its ways; the result is by kind of call."""
    seen: dict[str, Seen] = {}
    async with open_bench(row, directory, client) as bench:
        for call in CALLS:
            if getattr(row, call) is not None:
                seen[call] = await _observe_call(bench, row, call)
        await wait_until(lambda: len(bench.gateway.ends()) * 2 == len(bench.gateway.events()))
        bench.gateway.check_conservation()
    return seen


@asynccontextmanager
async def open_bench(row: Row, directory: Path, client: openai.AsyncOpenAI) -> AsyncIterator[Bench]:
    """Start the row's gateway with a model for every way to run it."""
    async with AsyncExitStack() as stack:
        scripted: dict[str, FaultUpstream] = {}
        declared: dict[str, Upstream] = {}
        models: dict[str, tuple[Target, ...]] = {}
        for model in (f"{call}-{setting}" for call in CALLS for setting in SETTINGS):
            names = [model, f"{model}-second"] if model.endswith("backed") else [model]
            for name in names:
                scripted[name] = await stack.enter_async_context(FaultUpstream(_good(model)))
                declared[name] = local_upstream(name, scripted[name].url)
            models[model] = tuple(Target(name, "gpt-4o") for name in names)
        if row.place:
            place_url = await stack.enter_async_context(open_place(row.place))
            for model in models:
                declared[model] = replace(declared[model], base_url=place_url)
        gateway = ProxyGateway(
            directory, declared, models=models, policy=ALWAYS_CACHED, timeouts=row.timeouts
        )
        await stack.enter_async_context(gateway)
        yield Bench(gateway, client.with_options(base_url=gateway.base_url), scripted)


def _good(model: str) -> replies.Reply:
    return replies.ok_stream() if model.startswith("stream") else replies.ok_json()


async def _observe_call(bench: Bench, row: Row, call: str) -> Seen:
    """Meet the fault alone, ask again once it is over, then meet it with a second upstream."""
    name = f"{call}-alone"
    alone = bench.upstreams[name]
    before = len(bench.gateway.ends())
    good, alone.fallback = alone.fallback, row.reply or alone.fallback
    client = await ask(bench, name, is_streaming=call == "stream")
    await wait_until(lambda: bench.gateway.ends()[-1]["is_final"])
    calls, recorded = len(alone.calls), describe_ends(bench.gateway.ends()[before:])
    alone.fallback = good
    again = await ask(bench, name, is_streaming=call == "stream")
    is_kept = bench.gateway.ends()[-1]["cache"] == "hit"
    if not row.place:
        assert again == ("the answer" if not is_kept else client), "the same call, after the fault"
        assert len(alone.calls) == calls + (not is_kept)
    return Seen(client, calls, recorded, await _is_rescued(bench, row, call, client), is_kept)


async def _is_rescued(bench: Bench, row: Row, call: str, client: str) -> bool:
    """Ask the model that has a second upstream; whatever comes must be one or the other."""
    name = f"{call}-backed"
    first, second = bench.upstreams[name], bench.upstreams[f"{name}-second"]
    first.fallback = row.reply or first.fallback
    backed = await ask(bench, name, is_streaming=call == "stream")
    if client == "the answer" or not second.calls:
        assert backed == client, "a second upstream that is not asked changes nothing"
        assert not second.calls
        return False
    assert backed == "the answer"
    assert len(second.calls) == 1
    return True


async def ask(bench: Bench, model: str, *, is_streaming: bool) -> str:
    """Make a call with the official client and say what it made of it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "user": treated_user(bench.gateway),
    }
    text = ""
    try:
        if is_streaming:
            async for chunk in await bench.client.chat.completions.create(stream=True, **body):
                for choice in chunk.choices:
                    text += choice.delta.content or ""
        else:
            answer = await bench.client.chat.completions.create(**body)
            text = answer.choices[0].message.content or ""
    except openai.APIStatusError as error:
        return describe_error(error)
    except openai.APIError as error:
        return f"{_length(text)}, then {type(error).__name__} `{error.code}`"
    return "the answer" if text == ANSWER else _length(text)


def describe_error(error: openai.APIStatusError) -> str:
    """Name status, exception, code, and the headers that steer the client's own retries."""
    assert isinstance(error.body, dict), "an error the client could not read"
    assert {"message", "type", "param", "code"} <= set(error.body)
    headers = [
        f"{name}: {error.response.headers[name]}"
        for name in SHOWN_HEADERS
        if name in error.response.headers
    ]
    code = f"`{error.code}`" if error.code else "no code"
    return ", ".join([f"{error.status_code} {type(error).__name__} {code}", *headers])


def _length(text: str) -> str:
    if text and ANSWER.startswith(text):
        return "a part of the answer"
    return f"{len(text):,} characters" if text else "nothing"


def describe_ends(ends: list[dict[str, Any]]) -> str:
    """Name outcome and source of usage of each attempt in turn."""
    assert [end["is_final"] for end in ends] == [False] * (len(ends) - 1) + [True]
    told = [f"{end['outcome']}, usage {end['usage_source']}" for end in ends]
    parts = [(text, len(list(same))) for text, same in groupby(told)]
    return "; ".join(text if count == 1 else f"{count} x {text}" for text, count in parts)
