"""Usage nobody reported, from the mock to the report: estimated beside the cost, never in it.

The mock's token is four characters: of prompts written in words of three letters it counts as many
as tiktoken does, and its bill can be held against the estimate.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from ledger.token_counting import TokenCounter
from storage.columnar import open_columnar
from tests.gateway import ACME_CONFIG, ACME_KEY, Gateway, wait_until

MODEL = "gpt-4o-mini"
PROMPT = "the cat sat and the dog ran but the pig hid " * 20
CANARY = "the canary sings"
COUNTER = TokenCounter()
ROWS = "SELECT count() AS rows, uniqExact(event_id) AS attempts FROM usage_estimates FINAL"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path, config=ACME_CONFIG) as running:
        yield running


async def ask(gateway: Gateway, *, is_streaming: bool = True, **mock: Any) -> tuple[str, str]:
    """(request id, the answer's text as far as it came) of one call; `mock` are its headers."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"{PROMPT}{CANARY}"}],
        "stream": is_streaming,
        "temperature": 1,
    }
    named = {f"x-mock-{name.replace('_', '-')}": str(value) for name, value in mock.items()}
    headers = {"Authorization": f"Bearer {ACME_KEY}", **named}
    text = b""
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.base_url}/chat/completions", json=body) as reply,
    ):
        try:
            async for data in reply.content.iter_any():
                text += data
        except aiohttp.ClientError:
            pass
        return reply.headers["x-apex-request-id"], said(text, is_streaming=is_streaming)


def said(answer: bytes, *, is_streaming: bool) -> str:
    if not is_streaming:
        return str(orjson.loads(answer)["choices"][0]["message"]["content"])
    lines = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: {")]
    choices = [choice for line in lines for choice in orjson.loads(line).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def leave(gateway: Gateway) -> str:
    """Leave a stream after some of it; the request's id."""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"Authorization": f"Bearer {ACME_KEY}", "x-mock-token-ms": "20"}
    async with aiohttp.ClientSession(headers=headers) as session:
        reply = await session.post(f"{gateway.base_url}/chat/completions", json=body)
        await reply.content.readuntil(b'"content":"')
        await reply.content.readuntil(b"\n\n")
        reply.close()
        return reply.headers["x-apex-request-id"]


async def end_with_estimate(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The END of a request once its estimate is there."""
    found: dict[str, Any] = {}

    async def is_estimated() -> bool:
        _, document = await gateway.admin(f"/admin/v1/requests/{request_id}")
        ends = [event for event in document.get("events", ()) if event["kind"] == "end"]
        found.update(ends[-1] if ends else {})
        return "estimate" in found

    await wait_until(is_estimated, 20, f"{request_id} is estimated")
    return found


def bill_of(gateway: Gateway, request_id: str) -> dict[str, Any]:
    lines = (gateway.home / "mock-bill.jsonl").read_bytes().splitlines()
    [line] = [each for each in map(orjson.loads, lines) if each["id"].startswith(request_id)]
    return dict(line)


def spooled(gateway: Gateway) -> list[Path]:
    return list(gateway.home.glob("unmetered/proxy-*/*.sealed"))


@pytest.mark.parametrize(
    ("mock", "is_streaming"),
    [
        ({"garbage": "no-usage", "output_tokens": 60}, True),
        ({"garbage": "no-usage", "output_tokens": 60}, False),
        ({"cut_after_tokens": 40, "output_tokens": 60}, True),
    ],
    ids=["stream", "document", "cut"],
)
async def test_an_estimate_is_near_the_bill_and_the_cost_stays_unknown(
    gateway: Gateway, mock: dict[str, Any], is_streaming: bool
) -> None:
    request_id, text = await ask(gateway, is_streaming=is_streaming, **mock)
    end = await end_with_estimate(gateway, request_id)
    bill, estimate = bill_of(gateway, request_id), end["estimate"]
    assert abs(estimate["input_tokens"] - bill["input_tokens"]) <= 0.3 * bill["input_tokens"]
    assert estimate["output_tokens"] == COUNTER.count(text, "o200k_base") > 0
    assert (estimate["encoding"], estimate["is_exact_encoding"]) == ("o200k_base", True)
    assert estimate["estimated_usd"] is not None
    assert (end["usage_source"], end["cost_usd"]) == ("unknown", None)
    status, usage = await gateway.admin("/admin/v1/usage")
    assert status == 200
    totals = usage["totals"]
    assert (totals["cost_usd"], totals["gross_saving_usd"]) == (None, None)
    assert (totals["input_tokens"], totals["output_tokens"]) == (0, 0)
    assert (totals["unpriced_requests"], totals["estimated_attempts"]) == (1, 1)
    assert totals["estimated_usd"] == estimate["estimated_usd"]


async def test_a_caller_who_leaves_and_what_the_verbs_show(gateway: Gateway) -> None:
    request_id = await leave(gateway)
    end = await end_with_estimate(gateway, request_id)
    assert end["outcome"] == "client_closed"
    estimate = end["estimate"]
    status, shown, errors = await gateway.verb("requests", request_id)
    assert status == 0, errors
    tokens = f"{estimate['input_tokens']} input and {estimate['output_tokens']} output tokens"
    assert f"estimate (tiktoken, o200k_base): not billed: {tokens}" in shown
    status, shown, errors = await gateway.verb("usage")
    assert status == 0, errors
    titles, *_, total = shown.splitlines()
    assert "estimated USD" in titles
    assert total.split()[-1].startswith("~0.0000")


async def test_no_prompt_is_anywhere_in_clear(gateway: Gateway) -> None:
    await ask(gateway, garbage="no-usage")
    for _ in range(100):
        clear = [
            path
            for path in gateway.home.rglob("*")
            if path.is_file() and CANARY.encode() in path.read_bytes()
        ]
        assert clear == []
        if not spooled(gateway):
            break
        await asyncio.sleep(0.05)
    assert CANARY not in gateway.output


async def test_kill_9_of_control_loses_and_doubles_no_estimate(gateway: Gateway) -> None:
    dice = random.Random(7)
    ids: list[str] = []
    for _ in range(6):
        batch = [ask(gateway, garbage="no-usage", output_tokens=5) for _ in range(30)]
        ids += [request_id for request_id, _ in await asyncio.gather(*batch)]
        await asyncio.sleep(dice.uniform(0.0, 1.5))
        await gateway.kill_and_wait_for_restart("control")
    await gateway.wait_until_ready()
    await wait_until(lambda: not spooled(gateway), 30, "the spool is worked off")
    assert await gateway.stop() == 0
    columnar = open_columnar(f"chdb://{gateway.home}/columnar")
    [row] = await columnar.query(ROWS)
    await columnar.close()
    assert (row["rows"], row["attempts"]) == (len(ids), len(set(ids))) == (180, 180)
    assert not list(gateway.home.glob("unmetered/aside/*"))
