"""The bill: kept over restarts, whole lines only, named by the caller's id."""

from pathlib import Path

import aiohttp
import orjson
import pytest

from config.clock import Clock
from proxy.providers.mock.bill import Bill
from proxy.providers.mock.prices import PriceTable
from proxy.providers.mock.rendering import Usage
from tests.proxy.providers.mock.server import BODY, MockServer, running_mock


def open_bill(path: Path) -> Bill:
    return Bill(path, Clock(), PriceTable({}))


async def test_line_carries_the_callers_id(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-client-request-id": "r1.2"})
    answer = await client.chat.completions.create(**BODY)
    (line,) = await mock.get("/mock/bill")
    assert answer.usage is not None
    assert line["id"] == "r1.2"
    assert line["model"] == "gpt-4o"
    assert line["input_tokens"] == answer.usage.prompt_tokens
    assert line["output_tokens"] == answer.usage.completion_tokens
    expected = line["input_tokens"] * 2_500_000 + line["output_tokens"] * 10_000_000
    assert line["cost_picousd"] == expected
    assert line["at_us"] > 1_700_000_000_000_000


async def test_restart_keeps_the_bill(tmp_path: Path) -> None:
    for _ in range(2):
        async with running_mock(tmp_path / "bill.jsonl") as mock:
            await mock.post(BODY)
    async with running_mock(tmp_path / "bill.jsonl") as mock:
        assert len(await mock.get("/mock/bill")) == 2


def test_torn_last_line_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "bill.jsonl"
    with open_bill(path) as bill:
        bill.record("one", "m", Usage(1), is_complete=True)
    with path.open("ab") as file:
        file.write(b'{"id": "tor')
    with open_bill(path) as bill:
        bill.record("two", "m", Usage(1), is_complete=False)
        lines = orjson.loads(bill.read_json())
    assert [(line["id"], line["complete"]) for line in lines] == [("one", True), ("two", False)]
    assert "torn" in caplog.text


def test_empty_bill_is_an_empty_list(tmp_path: Path) -> None:
    with open_bill(tmp_path / "new" / "bill.jsonl") as bill:
        assert orjson.loads(bill.read_json()) == []


async def test_stopping_bills_the_streams_that_run(tmp_path: Path) -> None:
    path = tmp_path / "bill.jsonl"
    headers = {
        "Authorization": "Bearer sk-test",
        "x-mock-token-ms": "20",
        "x-mock-output-tokens": "100000",
    }
    async with aiohttp.ClientSession(headers=headers) as caller:
        async with running_mock(path) as mock:
            url = f"{mock.url}/v1/chat/completions"
            reply = await caller.post(url, json={**BODY, "stream": True})
            for _ in range(6):
                await reply.content.readline()
        (line,) = map(orjson.loads, path.read_bytes().splitlines())
        assert line["complete"] is False
        assert line["output_tokens"] >= 2
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()
