"""Usage events on a real segment log: savings.md A11, rows 7, 16 and 19 of the fault table."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.clock import Clock
from config.metrics import Metrics, render_metrics
from ledger.events import PROVIDER_USAGE_LIMIT_BYTES, AttemptEnd, Outcome
from ledger.price_book import PriceBook, load_price_book
from ledger.rating import TokenBuckets
from ledger.segment_log import LogWriteError, SegmentWriter
from ledger.segment_reader import read_segment
from ledger.sink import EventSink
from policies.snapshot import Target
from proxy.context import RequestContext
from proxy.dialects.chat import CHAT
from proxy.recorder import Recorder, buckets_of, put_buckets, put_usage
from tests.proxy.samples import HELLO, USAGE, decision, live_snapshot, request_context, stored

TARGET = Target("openai", "gpt-4o")


class Log:
    """A recorder with its real log, and the events read back from it."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.directory = directory
        self.metrics = Metrics(directory / "metrics", "proxy")
        self.writer = SegmentWriter(directory / "segments", "proxy-0-test")
        self.recorder = Recorder(EventSink(self.writer, self.clock), self.clock, self.metrics)

    def events(self) -> list[dict[str, Any]]:
        paths = sorted((self.directory / "segments").glob("*/*.seg"))
        return [orjson.loads(record.payload) for path in paths for record in read_segment(path)]

    def ends(self) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["kind"] == "end"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    made.writer.close()


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


def context(book: PriceBook, clock: Clock, **fields: Any) -> RequestContext:
    made: RequestContext = request_context(live_snapshot(book), **fields)
    made.started = clock.monotonic()
    made.deadline = made.started + 600
    return made


def test_an_attempt_is_a_start_and_an_end(log: Log, book: PriceBook) -> None:
    ctx = context(book, log.clock, decision=decision(), session_hash="s", cache="miss")
    ctx.wishes = ctx.wishes._replace(tags={"team": "search"})
    end = log.recorder.open(ctx, TARGET)
    end.outcome, end.client_status = Outcome.ok, 200
    log.recorder.finish(ctx)
    first, last = log.events()
    assert (first["kind"], last["kind"]) == ("start", "end")
    for name in (
        "request_id",
        "attempt",
        "tenant",
        "key_id",
        "endpoint",
        "requested_model",
        "upstream",
        "upstream_model",
        "upstream_host",
        "cache",
        "price_book",
        "tags",
    ):
        assert first[name] == last[name], name
    assert first["attempt"] == 1
    assert (first["upstream_host"], first["baseline_upstream"]) == ("api.openai.com", "openai")
    assert (first["policy_revision"], first["arm"]) == ("p@1", "treated")
    assert first["body_bytes"] == len(ctx.body)
    assert first["at_us"] > 1_600_000_000_000_000
    assert last["at_us"] >= first["at_us"]
    assert (last["outcome"], last["is_final"]) == ("ok", True)
    assert last["total_us"] >= last["wait_us"] >= 0


def test_events_hold_no_prompt_and_no_key(log: Log, book: PriceBook) -> None:
    """Marked words of prompt, answer and secret must not reach the disk."""
    doc = HELLO | {
        "messages": [{"role": "user", "content": "zanzibar-prompt"}],
        "user": "zanzibar-user",
    }
    ctx = context(book, log.clock, doc=doc, decision=decision())
    log.recorder.open(ctx, TARGET)
    log.recorder.finish(ctx)
    text = str(log.events())
    assert "zanzibar" not in text
    assert "sk-upstream" not in text
    secret_hmac = next(iter(ctx.live.snapshot.keys_by_id.values())).secret_hmac
    assert secret_hmac.hex() not in text


def test_retries_share_their_request_and_only_the_last_end_is_final(
    log: Log, book: PriceBook
) -> None:
    ctx = context(book, log.clock)
    for _ in range(3):
        log.recorder.open(ctx, TARGET).outcome = Outcome.upstream_error
    log.recorder.finish(ctx)
    log.recorder.finish(ctx)
    events = log.events()
    assert [(e["kind"], e["attempt"]) for e in events] == [
        ("start", 1),
        ("end", 1),
        ("start", 2),
        ("end", 2),
        ("start", 3),
        ("end", 3),
    ]
    assert [e["is_final"] for e in log.ends()] == [False, False, True]
    assert len({e["request_id"] for e in events}) == 1


def test_an_end_nobody_settled_says_it_was_our_failure(log: Log, book: PriceBook) -> None:
    ctx = context(book, log.clock)
    log.recorder.open(ctx, TARGET)
    log.recorder.finish(ctx)
    [end] = log.ends()
    assert (end["outcome"], end["usage_source"]) == ("internal_error", "unknown")


def test_an_answer_from_the_cache_is_start_and_end_in_one(log: Log, book: PriceBook) -> None:
    ctx = context(book, log.clock, cache="hit")
    answer = stored("json", b"{}", buckets=TokenBuckets(input_tokens=7, reasoning_tokens=2))
    end = log.recorder.serve_stored(ctx, answer)
    log.recorder.finish(ctx)
    first, last = log.events()
    assert (first["upstream"], first["upstream_model"]) == ("openai", "gpt-4o")
    assert (last["hit_of"], last["usage_source"], last["is_final"]) == ("req_first", "cache", True)
    assert (last["input_tokens"], last["reasoning_tokens"]) == (7, 2)
    assert (last["served_model"], last["client_status"]) == ("gpt-4o-2024-08-06", 200)
    assert buckets_of(end) == answer.buckets


def test_an_answer_whose_usage_was_never_known_stays_unknown(log: Log, book: PriceBook) -> None:
    ctx = context(book, log.clock, cache="hit")
    log.recorder.serve_stored(ctx, stored("json", b"{}", buckets=None))
    assert log.ends()[0]["usage_source"] == "unknown"


def test_a_refusal_of_a_known_key_is_recorded_and_of_an_unknown_one_not(
    log: Log, book: PriceBook
) -> None:
    """Strangers must not be able to fill the log."""
    known, stranger = context(book, log.clock), context(book, log.clock, key=None)
    log.recorder.refuse(stranger, Outcome.refused, 401, "invalid_api_key")
    assert log.events() == []
    log.recorder.refuse(known, Outcome.refused, 400, "invalid_request")
    log.recorder.refuse(known, Outcome.refused, 400, "invalid_request")
    log.recorder.finish(known)
    [end] = log.ends()
    assert (end["outcome"], end["client_status"], end["error_code"]) == (
        "refused",
        400,
        "invalid_request",
    )
    assert (end["upstream"], end["usage_source"], end["is_final"]) == ("", "none", True)


def test_a_refusal_before_the_body_was_read_is_recorded_too(log: Log, book: PriceBook) -> None:
    ctx = RequestContext("req_1", CHAT, 0.0, live_snapshot(book))
    ctx.key = next(iter(ctx.live.snapshot.keys_by_id.values()))
    log.recorder.refuse(ctx, Outcome.refused, 413, "request_too_large")
    assert log.ends()[0]["requested_model"] == ""


PATHS = st.lists(st.sampled_from(["open", "finish"]), max_size=6) | st.sampled_from(
    [["stored"], ["stored", "finish"], ["refuse"], ["refuse", "refuse"], ["refuse", "finish"]]
)


@given(st.lists(PATHS, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_start_has_its_end_and_every_request_one_final_end(
    tmp_path_factory: pytest.TempPathFactory, book: PriceBook, paths: list[list[str]]
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    for number, steps in enumerate(paths):
        ctx = context(book, log.clock)
        ctx.request_id = f"req_{number}"
        for step in steps:
            if step == "open" and not ctx.is_recorded:
                log.recorder.open(ctx, TARGET)
            elif step == "stored":
                log.recorder.serve_stored(ctx, stored("json", b"{}"))
            elif step == "refuse":
                log.recorder.refuse(ctx, Outcome.refused, 400, "x")
        log.recorder.finish(ctx)  # as the pipeline's `finally` does
    events = log.events()
    names = [(e["request_id"], e["attempt"], e["kind"]) for e in events]
    assert len(set(names)) == len(names)
    starts = {name[:2] for name in names if name[2] == "start"}
    assert starts == {name[:2] for name in names if name[2] == "end"}
    finals = [e["request_id"] for e in log.ends() if e["is_final"]]
    assert sorted(finals) == sorted({request_id for request_id, _ in starts})
    for end in log.ends():
        last = max(attempt for request_id, attempt in starts if request_id == end["request_id"])
        assert end["is_final"] == (end["attempt"] == last)
    log.writer.close()


@pytest.mark.parametrize("step", ["open", "stored", "refuse"])
def test_what_cannot_be_recorded_is_said_at_once(log: Log, book: PriceBook, step: str) -> None:
    """Row 6: never serve what nobody could bill."""
    log.writer.close()
    ctx = context(book, log.clock)
    take: dict[str, Callable[[], object]] = {
        "open": lambda: log.recorder.open(ctx, TARGET),
        "stored": lambda: log.recorder.serve_stored(ctx, stored("json", b"{}")),
        "refuse": lambda: log.recorder.refuse(ctx, Outcome.refused, 400, "x"),
    }
    with pytest.raises(LogWriteError) as caught:
        take[step]()
    assert caught.value.hint
    log.recorder.finish(ctx)


def test_hostile_values_are_stored_clipped_and_the_log_stays_readable(
    log: Log, book: PriceBook
) -> None:
    doc = HELLO | {"model": "m" * 100_000, "service_tier": {"a": 1}}
    ctx = context(book, log.clock, doc=doc)
    end = log.recorder.open(ctx, TARGET)
    end.finish_reasons = ["x" * 100_000] * 10
    end.served_model = "lone \ud800 surrogate"
    end.response_bytes = 2**80
    log.recorder.finish(ctx)
    first, last = log.events()
    assert (len(first["requested_model"]), first["requested_tier"]) == (4096, "")
    assert last["response_bytes"] == 2**63 - 1


def test_metrics_count_each_request_once_and_each_attempt(log: Log, book: PriceBook) -> None:
    ctx = context(book, log.clock, cache="miss")
    log.recorder.open(ctx, TARGET).outcome = Outcome.upstream_error
    end = log.recorder.open(ctx, TARGET)
    end.outcome, end.first_byte_us = Outcome.ok, 1000
    log.recorder.finish(ctx)
    text = render_metrics(log.directory / "metrics", log.metrics)
    assert 'apex_requests_total{endpoint="chat",outcome="ok",cache="miss"} 1' in text
    assert 'apex_attempts_total{upstream="openai",outcome="upstream_error"} 1' in text
    assert 'apex_attempts_total{upstream="openai",outcome="ok"} 1' in text
    assert 'apex_first_byte_seconds_count{endpoint="chat"} 1' in text


# --- usage


@pytest.fixture
def end(log: Log, book: PriceBook) -> AttemptEnd:
    return log.recorder.open(context(book, log.clock), TARGET)


def test_usage_is_split_and_kept_as_it_came(log: Log, end: AttemptEnd) -> None:
    put_usage(end, USAGE | {"completion_tokens_details": {"reasoning_tokens": 3}}, log.metrics)
    assert (end.input_tokens, end.output_tokens, end.reasoning_tokens) == (9, 1, 3)
    assert end.usage_source == "provider"
    assert orjson.loads(end.provider_usage)["total_tokens"] == 13


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": "many"},
        {"prompt_tokens": -1},
        {"prompt_tokens": 2**64 - 1},
        {"prompt_tokens": True},
        {"prompt_tokens": 5, "prompt_tokens_details": []},
    ],
)
def test_usage_nobody_can_read_is_unknown_and_never_zero(
    log: Log, end: AttemptEnd, usage: dict[str, Any]
) -> None:
    put_usage(end, usage, log.metrics)
    assert end.usage_source == "unknown"
    assert buckets_of(end) is None


def test_no_usage_is_unknown(log: Log, end: AttemptEnd) -> None:
    put_usage(end, None, log.metrics)
    assert (end.usage_source, end.provider_usage) == ("unknown", "")


def test_keys_nobody_prices_are_named_and_counted(log: Log, end: AttemptEnd) -> None:
    """Lesson 2: an unknown dimension raises a counter, it is not ignored."""
    put_usage(end, USAGE | {"hologram_tokens": 5}, log.metrics)
    assert end.unpriced_keys == ["hologram_tokens"]
    text = render_metrics(log.directory / "metrics", log.metrics)
    assert "apex_unpriced_usage_keys_total 1" in text


def test_raw_usage_is_bounded(log: Log, end: AttemptEnd) -> None:
    put_usage(end, USAGE | {f"k{n}": "é" * 50 for n in range(100)}, log.metrics)
    assert len(end.provider_usage.encode()) <= PROVIDER_USAGE_LIMIT_BYTES + 2
    assert end.usage_source == "provider"


@given(st.builds(TokenBuckets, *[st.integers(0, 10**9)] * 10))
def test_buckets_survive_the_event(buckets: TokenBuckets) -> None:
    end = AttemptEnd(
        request_id="r",
        attempt=1,
        tenant="t",
        key_id="k",
        at_us=0,
        endpoint="chat",
        requested_model="m",
        upstream="u",
        upstream_kind="openai",
        upstream_model="m",
        outcome=Outcome.ok,
        is_final=True,
        usage_source="provider",
    )
    put_buckets(end, buckets)
    assert buckets_of(end) == buckets
