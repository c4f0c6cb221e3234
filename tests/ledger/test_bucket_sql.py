"""Usage by buckets: to the last digit what the events say, whatever came in when."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.clock import Clock
from ledger.amounts import summed, usd_text
from ledger.bucket_plan import HOUR_US
from ledger.bucket_sql import FIGURES, figures_sql, groups_of, within
from ledger.estimate_sql import estimated_by
from ledger.rolling import Roller, RollerOptions
from ledger.usage import UsageRange, usage_rows
from ledger.usage_sql import DIMENSIONS, ends_by, unknown_by
from storage.columnar import Columnar

NOW_US = 1_795_000_000_000_000
ROOT = Path(__file__).resolve().parents[2]
SINCE_US = NOW_US - 60 * HOUR_US

attempts = st.fixed_dictionaries({
    "number": st.integers(0, 40),
    "began": st.integers(0, 59 * 12),  # twelfths of an hour
    "lasted": st.sampled_from([None, 0, 1, 2, 30]),
    "tries": st.sampled_from([1, 1, 1, 2, 3]),
    "tenant": st.sampled_from(["acme", "globex"]),
    "model": st.sampled_from(["large", "small"]),
    "tags": st.sampled_from([{}, {"team": "a"}, {"team": "b", "app": "x"}]),
    "cost": st.sampled_from([None, 0, 1, 999_999_999, 10**15 + 7]),
    "source": st.sampled_from(["provider", "unknown", "cache", "none"]),
    "has_estimate": st.booleans(),
})  # fmt: skip


def rows_of(attempt: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events and estimates of a request; the same number names the same request."""
    events, estimates = [], []
    request = f"{attempt['tenant']}-{attempt['number']}"
    for number in range(1, attempt["tries"] + 1):
        start_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{request}/{number}/start"))
        end_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{request}/{number}/end"))
        began_us = SINCE_US + attempt["began"] * HOUR_US // 12 + number * 1000
        facts = {
            "start_id": start_id, "request_id": request, "attempt": number,
            "tenant": attempt["tenant"], "requested_model": attempt["model"], "key_id": "k",
            "upstream": "openai", "upstream_model": "m", "served_model": "m", "writer": "w",
            "tags": attempt["tags"], "cache": "hit" if attempt["source"] == "cache" else "miss",
        }  # fmt: skip
        events.append({**facts, "event_id": start_id, "kind": "start", "at_us": began_us})
        if attempt["lasted"] is None:
            continue
        end_us = began_us + attempt["lasted"] * HOUR_US // 6 + 5
        end = {
            "event_id": end_id, "kind": "end", "at_us": end_us, "outcome": "ok",
            "is_final": number == attempt["tries"], "usage_source": attempt["source"],
            "input_tokens": 7 * number, "output_tokens": 3, "cost_picousd": attempt["cost"],
            "gross_baseline_picousd": attempt["cost"], "price_state": "agreed",
            "baseline_price_state": "agreed",
        }  # fmt: skip
        events.append({**facts, **end})
        if attempt["has_estimate"]:
            names = ("tenant", "request_id", "attempt")
            same = {name: facts[name] for name in names}
            amount = attempt["cost"]
            estimates.append(
                {**same, "event_id": end_id, "at_us": end_us, "estimated_picousd": amount}
            )
    return events, estimates


async def insert(store: Columnar, table: str, rows: list[dict[str, Any]]) -> None:
    months: dict[str, list[bytes]] = {}
    for row in rows:
        months.setdefault(str(row["at_us"] // (30 * 24 * HOUR_US)), []).append(orjson.dumps(row))
    for lines in months.values():
        await store.insert_json_lines(table, b"\n".join(lines), str(uuid.uuid4()))


def make_roller(store: Columnar) -> Roller:
    class Fixed(Clock):
        def now_us(self) -> int:
            return NOW_US

    return Roller(store, Fixed(), RollerOptions(hours_verified_at_once=24))


async def from_events(store: Columnar, group_by: str, span: UsageRange, tenant: str) -> Any:
    """What the statements over events alone say: by group, the figures that are summed."""
    end_of, start_of = DIMENSIONS[group_by]
    asked = {"since": span.since_us, "until": span.until_us, "tenant": tenant}
    never = {**asked, "open_since": 2**62, "open_writers": [""]}
    ended = {row["dimension"]: row for row in await store.query(ends_by(end_of), asked)}
    estimated = {row["dimension"]: row for row in await store.query(estimated_by(end_of), asked)}
    unknown = {row["dimension"]: row for row in await store.query(unknown_by(start_of), never)}
    found = {}
    for name in {*ended, *unknown}:
        row = {**ended.get(name, {}), **estimated.get(name, {}), **unknown.get(name, {})}
        found[name] = (
            row.get("requests", 0), int(row.get("unknown_attempts", 0)),
            row.get("unpriced_requests", 0), row.get("sum_input_tokens", 0),
            row.get("priced_cost", 0), row.get("unpriced_cost", 0),
            usd_text(summed(row, "cost")) if name in ended else "0",
            row.get("estimated_attempts", 0),
            usd_text(summed(row, "estimated")) if row.get("priced_estimates") else None,
        )  # fmt: skip
    return found


async def from_buckets(store: Columnar, group_by: str, span: UsageRange, tenant: str) -> Any:
    since, until = (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()
        for us in (span.since_us, span.until_us)
    )
    usage = await usage_rows(store, group_by, since, until, tenant or None)
    return {row[group_by]: row for row in usage["rows"]}, usage["totals"]


def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, row in found.items():
        requests, unknown, unpriced, tokens, priced, unpriced_cost, cost, estimated, usd = expected[
            name
        ]
        assert row["requests"] == requests
        assert row["unknown_attempts"] == unknown
        assert row["unpriced_requests"] == unpriced
        assert row["input_tokens"] == tokens
        is_unknown = not priced and unpriced_cost + unknown > 0
        assert row["cost_usd"] == (None if is_unknown else cost)
        assert row["estimated_attempts"] == estimated
        assert row["estimated_usd"] == usd


def some(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


given_usage = given(
    st.lists(
        attempts, min_size=1, max_size=25, unique_by=lambda each: (each["tenant"], each["number"])
    ),
    st.integers(0, 3),
    st.tuples(st.integers(0, 700), st.integers(1, 900)),
    st.sampled_from(["", "acme"]),
)


@some(4)
@given_usage
async def test_buckets_say_what_the_events_say(
    embedded: Columnar, made: list[dict[str, Any]], late: int, span: tuple[int, int], tenant: str
) -> None:
    await prove(embedded, made, late, span, tenant)


@pytest.mark.long
@pytest.mark.timeout(1800)
@some(100)
@given_usage
async def test_buckets_say_what_the_events_say_at_length(
    embedded: Columnar, made: list[dict[str, Any]], late: int, span: tuple[int, int], tenant: str
) -> None:
    await prove(embedded, made, late, span, tenant)


async def prove(
    embedded: Columnar, made: list[dict[str, Any]], late: int, span: tuple[int, int], tenant: str
) -> None:
    for table in ("usage_events", "usage_estimates", "usage_hour_marks", "usage_rolled",
                  "usage_sums", "usage_apart", "usage_late_ends"):  # fmt: skip
        await embedded.command(f"TRUNCATE TABLE {table}")
    roller = make_roller(embedded)
    events = [event for attempt in made for event in rows_of(attempt)[0]]
    estimates = [estimate for attempt in made for estimate in rows_of(attempt)[1]]
    period = UsageRange(
        SINCE_US + span[0] * HOUR_US // 12, SINCE_US + sum(span) * HOUR_US // 12 + 1
    )
    # Every fourth event and every other estimate comes in when the rest was summed, some twice.
    first = [event for place, event in enumerate(events) if place % 4 != late]
    await insert(embedded, "usage_events", first)
    await insert(embedded, "usage_estimates", estimates[::2])
    await roller.roll()
    assert await roller.roll() > 0
    for group_by in ("model", "day"):
        await compare(embedded, group_by, period, tenant)
    await insert(embedded, "usage_events", [*events[late::4], *first[::5]])
    await insert(embedded, "usage_estimates", estimates[1::2])
    await compare(embedded, "model", period, tenant)
    await roller.roll()
    await roller.roll()
    for group_by in DIMENSIONS:
        await compare(embedded, group_by, period, tenant)
    assert await roller.verify() == 0


async def compare(store: Columnar, group_by: str, span: UsageRange, tenant: str) -> None:
    found, totals = await from_buckets(store, group_by, span, tenant)
    check(found, await from_events(store, group_by, span, tenant))
    everything = await from_events(store, group_by, span, tenant)
    if group_by != "tag" and everything:
        assert totals["requests"] == sum(row[0] for row in everything.values())


def test_nothing_is_left_to_fill_in() -> None:
    migration = ROOT / "storage/migrations/columnar/0004_usage_hours.sql"
    text = " ".join(migration.read_text().split())
    assert len(FIGURES) == len(set(FIGURES))
    assert (
        figures_sql()
        .replace("[toInt64(is_final)", "[ toInt64(is_final)", 1)
        .replace("], [])", " ], [])")
        in text
    ), "figures are what the migration says: another needs another migration"
    assert within("at_us", []) == "(0)"
    assert within("at_us", [(1, 2), (3, 4)]) == (
        "((at_us >= 1 AND at_us < 2) OR (at_us >= 3 AND at_us < 4))"
    )
    for group_by in DIMENSIONS:
        assert "total" in groups_of(group_by)


@pytest.mark.parametrize("group_by", DIMENSIONS)
async def test_an_empty_store_has_no_usage(embedded: Columnar, group_by: str) -> None:
    usage = await usage_rows(embedded, group_by)
    assert usage["rows"] == []
    assert usage["totals"]["requests"] == 0
