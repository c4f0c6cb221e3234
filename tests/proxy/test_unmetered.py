"""What is kept of attempts without usage, through the real proxy: sealed, and bounded."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from config.metrics import Metrics, render_metrics
from config.operator_model import EstimatesConfig
from config.secrets import KeyRing, load_key_ring
from ledger.events import END, event_id
from ledger.unmetered_record import MOST_BODY_BYTES, UnmeteredRecord, open_record
from proxy import unmetered
from proxy.stream_reply import SAMPLE_BYTES
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import HELLO, lone, open_call, post
from tests.proxy_gateway import ProxyGateway, local_upstream

CANARY = "the-canary-sings-at-dawn"
ASKED = HELLO | {"messages": [{"role": "user", "content": CANARY}]}
STREAMED = ASKED | {"stream": True}
NO_USAGE = replies.chat_events(("Scripted ", f"{CANARY}."), has_usage=False)


def files(gateway: ProxyGateway) -> list[Path]:
    return sorted(gateway.home.glob("unmetered/proxy-0/*"))


def records(gateway: ProxyGateway) -> list[tuple[dict[str, Any], UnmeteredRecord]]:
    """Every record with its END."""
    ring = load_key_ring(gateway.settings)
    opened = [open_record(path.read_bytes(), ring) for path in files(gateway)]
    return [(orjson.loads(record.end), record) for record in opened]


def dropped(gateway: ProxyGateway, reason: str) -> float:
    text = render_metrics(gateway.home / "run" / "metrics", None)
    name = f'apex_unmetered_dropped_total{{reason="{reason}"}} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if name in line)


def everything_under(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (replies.cut_stream(3), "truncated"),
        (replies.ok_stream(NO_USAGE), "ok"),
        (replies.silent_stream(3, NO_USAGE), "upstream_timeout"),
    ],
    ids=["cut", "no usage", "stalled"],
)
async def test_a_stream_without_usage_is_kept_sealed(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession, reply: Any, outcome: str
) -> None:
    upstream.fallback = reply
    async with lone(tmp_path, upstream) as gateway:
        _, headers, answer = await post(session, gateway, STREAMED)
        [(end, record)] = records(gateway)
        [path] = files(gateway)
        assert gateway.ends() == [end]
        assert (end["usage_source"], end["outcome"]) == ("unknown", outcome)
        request_id = headers["x-apex-request-id"]
        assert path.name == f"{event_id('acme', request_id, 1, END)}.sealed"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o077 == 0
        assert orjson.loads(record.body) == STREAMED
        assert record.body_total_bytes == len(record.body)
        assert record.answer
        assert answer.startswith(record.answer)
        assert record.answer_total_bytes == len(record.answer)
        assert CANARY.encode() in answer or outcome == "truncated"
        assert CANARY.encode() not in everything_under(gateway.home)


async def test_a_running_total_of_a_cut_stream_is_no_usage(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    """Some servers count as they go: what they had counted by the cut is not what they bill."""
    events = [
        replies.chunk({"content": "word "}, usage={"prompt_tokens": 9, "completion_tokens": number})
        for number in range(1, 9)
    ]
    upstream.fallback = replies.cut_stream(5, events)
    async with lone(tmp_path, upstream) as gateway:
        await post(session, gateway, STREAMED | {"stream_options": {"include_usage": True}})
        [(end, _)] = records(gateway)
        assert (end["usage_source"], end["output_tokens"]) == ("unknown", 0)


async def test_a_document_without_usage_is_kept(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    document = replies.chat_document()
    del document["usage"]
    upstream.fallback = replies.ok_json(document)
    async with lone(tmp_path, upstream) as gateway:
        await post(session, gateway, ASKED)
        [(end, record)] = records(gateway)
        assert end["usage_source"] == "unknown"
        assert orjson.loads(record.answer) == document
        assert record.answer_total_bytes == len(record.answer)


async def test_a_caller_who_leaves_leaves_what_it_got(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.ok_stream([*NO_USAGE[:2], 0.2] * 50)
    async with lone(tmp_path, upstream) as gateway:
        reader, writer = await open_call(gateway, STREAMED)
        async with asyncio.timeout(5):
            await reader.readuntil(b"Scripted ")
        writer.transport.abort()
        await wait_until(lambda: bool(files(gateway)))
        [(end, record)] = records(gateway)
        assert end["outcome"] == "client_closed"
        assert b"Scripted " in record.answer


async def test_no_answer_in_time_is_kept_with_its_prompt_alone(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    upstream.fallback = replies.silence()
    async with lone(tmp_path, upstream) as gateway:
        await post(session, gateway, ASKED, x_stainless_retry_count="0")
        kept = records(gateway)
        unknown = [end for end in gateway.ends() if end["usage_source"] == "unknown"]
        assert len(kept) == len(unknown) >= 1
        assert all((record.answer, record.answer_total_bytes) == (b"", 0) for _, record in kept)


@pytest.mark.parametrize(
    "reply",
    [replies.ok_json(), replies.ok_stream(), replies.bad_request()],
    ids=["document", "stream", "400"],
)
async def test_of_what_is_metered_or_never_ran_nothing_is_kept(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession, reply: Any
) -> None:
    upstream.fallback = reply
    async with lone(tmp_path, upstream) as gateway:
        await post(session, gateway, STREAMED if reply.framing == "chunked" else ASKED)
        assert len(gateway.ends()) == 1
        assert not files(gateway)


async def test_a_failed_attempt_has_a_record_of_its_own(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    upstream.script(replies.broken_json())
    upstream.fallback = replies.ok_json()
    async with lone(tmp_path, upstream) as gateway:
        status, _, _ = await post(session, gateway, ASKED)
        assert status == 200
        assert [(end["attempt"], end["is_final"]) for end, _ in records(gateway)] == [(1, False)]


async def test_an_answer_from_the_cache_is_kept_once(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    document = replies.chat_document()
    del document["usage"]
    upstream.fallback = replies.ok_json(document)
    async with lone(tmp_path, upstream) as gateway:
        for _ in range(2):
            await post(session, gateway, ASKED, idempotency_key="the-same")
        assert len(gateway.ends()) == 2
        assert len(files(gateway)) == 1


class Unestimated(ProxyGateway):
    """A gateway whose operator has switched estimates off."""

    def write_snapshot(self, number: int, **changes: Any) -> None:
        super().write_snapshot(number, estimates=EstimatesConfig(enabled=False), **changes)


async def test_switched_off_nothing_is_kept(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    upstream.fallback = replies.ok_stream(NO_USAGE)
    upstreams = {"first": local_upstream("first", upstream.url)}
    async with Unestimated(tmp_path, upstreams) as gateway:
        await post(session, gateway, STREAMED)
        assert [end["usage_source"] for end in gateway.ends()] == ["unknown"]
        assert not files(gateway)


async def test_a_full_spool_drops_the_newest_and_answers_all_the_same(
    tmp_path: Path,
    upstream: FaultUpstream,
    session: ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unmetered, "MOST_SPOOL_RECORDS", 2)
    upstream.fallback = replies.ok_stream(NO_USAGE)
    async with lone(tmp_path, upstream) as gateway:
        for _ in range(4):
            status, _, answer = await post(session, gateway, STREAMED)
            assert (status, answer.endswith(b"data: [DONE]\n\n")) == (200, True)
        kept = files(gateway)
        assert len(kept) == 2
        assert len(gateway.ends()) == 4
        await wait_until(lambda: dropped(gateway, "full") == 2)
        for path in kept:
            path.unlink()

        async def is_kept_again() -> bool:
            await post(session, gateway, STREAMED)
            return bool(files(gateway))

        await wait_until(is_kept_again)  # once the spool has been counted again
        assert len(files(gateway)) <= 2


async def test_bytes_bound_the_spool_too(
    tmp_path: Path,
    upstream: FaultUpstream,
    session: ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unmetered, "MOST_SPOOL_BYTES", 30_000)
    upstream.fallback = replies.ok_stream(NO_USAGE)
    long = STREAMED | {"messages": [{"role": "user", "content": "x" * 12_000}]}
    async with lone(tmp_path, upstream) as gateway:
        for _ in range(4):
            await post(session, gateway, long)
        assert len(files(gateway)) == 2
        assert sum(path.stat().st_size for path in files(gateway)) <= 30_000


async def test_a_spool_that_cannot_be_written_fails_no_answer(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    upstream.fallback = replies.ok_stream(NO_USAGE)
    async with lone(tmp_path, upstream) as gateway:
        (gateway.home / "unmetered" / "proxy-0").rmdir()
        status, _, answer = await post(session, gateway, STREAMED)
        assert (status, answer.endswith(b"data: [DONE]\n\n")) == (200, True)
        await wait_until(lambda: dropped(gateway, "failed") == 1)


async def test_of_what_is_long_the_beginning_is_kept_and_the_length_told(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession
) -> None:
    events = [replies.chunk({"content": "word " * 40}) for _ in range(500)]
    upstream.fallback = replies.ok_stream(events)
    long = STREAMED | {"messages": [{"role": "user", "content": "x" * (MOST_BODY_BYTES + 5000)}]}
    async with lone(tmp_path, upstream) as gateway:
        _, _, answer = await post(session, gateway, long)
        [(end, record)] = records(gateway)
        assert len(record.body) == MOST_BODY_BYTES
        assert record.body_total_bytes > MOST_BODY_BYTES + 5000
        assert len(record.answer) == SAMPLE_BYTES
        assert record.answer_total_bytes == end["response_bytes"] > 2 * SAMPLE_BYTES
        assert answer.startswith(record.answer)


def test_a_tally_from_above_is_made_good_by_counting(tmp_path: Path) -> None:
    directory = tmp_path / "unmetered"
    spool = unmetered.UnmeteredSpool(
        directory, KeyRing(b"k" * 32), Metrics(tmp_path / "m", "proxy"), 5000
    )
    fullness = [spool.is_full]
    for name in ("a", "b"):
        (directory / name).write_bytes(b"x")
    spool.recount()
    fullness.append(spool.is_full)
    (directory / "a").unlink()
    spool.recount()
    assert [*fullness, spool.is_full] == [False, True, False]


def test_a_spool_that_was_removed_is_made_again_at_the_next_count(tmp_path: Path) -> None:
    directory = tmp_path / "unmetered"
    ring, metrics = KeyRing(b"k" * 32), Metrics(tmp_path / "m", "proxy")
    spool = unmetered.UnmeteredSpool(directory, ring, metrics, 1)
    directory.rmdir()
    spool.recount()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert not spool.is_full
