"""Usage as people ask for it: sums by one dimension, and everything about one request.

Called by the admin API and the command line. Amounts are summed exactly and shown as decimal text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from ledger.amounts import summed, usd_text
from ledger.apart_sql import unended_by, unknown_among, unpriced_by
from ledger.bucket_plan import BucketPlan, plan_buckets
from ledger.bucket_sql import ESTIMATES, NAMES, TOTAL, estimates_by, sums_by
from ledger.estimate_sql import ESTIMATES_OF_REQUEST
from ledger.events import END, START, TOKEN_BUCKETS, AttemptEnd, AttemptStart
from ledger.open_attempts import OpenWindow
from ledger.usage_sql import AMOUNTS, DIMENSIONS, REQUEST
from storage.columnar import Columnar

_COUNTS = ("requests", "attempts", "unknown_attempts", "errors", "cache_hits", "coalesced")
_LATEST_US = 2**62
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class UsageQueryError(ValueError):
    """The question cannot be answered as asked; the hint says what can be."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class UsageRange:
    """Half-open [since_us, until_us) in unix microseconds."""

    since_us: int
    until_us: int


def parse_range(from_: str | None, to: str | None) -> UsageRange:
    """ISO instants or dates, UTC unless they carry an offset; `to` is excluded; None is open."""
    since = _instant_us(from_, "from") if from_ else 0
    until = _instant_us(to, "to") if to else _LATEST_US
    if since >= until:
        raise UsageQueryError("from is not before to", "the range is half-open: to is excluded")
    return UsageRange(since, until)


async def usage_rows(
    columnar: Columnar,
    group_by: str,
    from_: str | None = None,
    to: str | None = None,
    tenant: str | None = None,
    open_window: OpenWindow | None = None,
) -> dict[str, Any]:
    """{"rows": [{group_by: ..., "requests": n, ...}], "totals": {...}}, the dearest group first.

    A request counts where and when its final END does. Token buckets are what providers counted;
    tokens served from the cache are `cache_served_tokens`. Attempts without END are
    `unknown_attempts`, except those that `open_window` says may be under way. With tags a request
    may be in several rows, so totals are taken apart. An amount of which nothing is known is None;
    those that leave out something unknown are in `partial_amounts`. `estimated_usd` is in no other
    amount: what attempts of unknown usage may have cost, None where nothing is estimated. Raises
    UsageQueryError, ColumnarError.
    """
    if group_by not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        raise UsageQueryError(f"unknown group_by {group_by[:64]!r}", f"group_by is one of {known}")
    span = parse_range(from_, to)
    groups = await _groups(columnar, group_by, span, tenant or "", open_window)
    totals = groups.pop((TOTAL, ""), None) or _present({}, 0)
    named = {value: group for (_, value), group in groups.items()}
    names = sorted(named)
    if group_by != "day":
        names.sort(key=lambda name: _weight(named[name]), reverse=True)
    return {"rows": [{group_by: name, **named[name]} for name in names], "totals": totals}


async def request_detail(
    columnar: Columnar, request_id: str, tenant: str | None = None
) -> dict[str, Any] | None:
    """Every event of one request, by attempt, with its rated amounts; None when there is none."""
    rows = await columnar.query(REQUEST, {"request_id": request_id, "tenant": tenant or ""})
    if not rows:
        return None
    asked = {"request_id": request_id, "tenant": tenant or ""}
    estimates = {
        row["event_id"]: _present_estimate(row)
        for row in await columnar.query(ESTIMATES_OF_REQUEST, asked)
    }
    rows.sort(key=lambda row: (row["attempt"], row["kind"] == END))
    ends = [row for row in rows if row["kind"] == END]
    ended = {row["start_id"] for row in ends}
    return {
        "request_id": request_id,
        "tenant": rows[0]["tenant"],
        "key_id": rows[0]["key_id"],
        "attempts": len({row["attempt"] for row in rows}),
        "attempts_without_end": len({row["start_id"] for row in rows} - ended),
        "is_complete": any(row["is_final"] for row in ends),
        "cost_usd": _total_usd(ends, "cost_picousd"),
        "gross_baseline_usd": _total_usd(ends, "gross_baseline_picousd"),
        "events": [_present_event(row) | _estimate_of(row, estimates) for row in rows],
    }


_Group = tuple[str, str]  # dimension or TOTAL, and value


async def _groups(
    columnar: Columnar, group_by: str, span: UsageRange, tenant: str, window: OpenWindow | None
) -> dict[_Group, dict[str, Any]]:
    """Every group and the total: whole buckets as they were summed, the rest from the events."""
    plan = await plan_buckets(columnar, span.since_us, span.until_us)
    asked = {"tenant": tenant}
    sums = sums_by(group_by, plan.days, plan.hours, plan.events)
    rows = _by_group(await columnar.query(sums, asked))
    ended = {name: dict(zip(NAMES, row["figures"], strict=False)) for name, row in rows.items()}
    if any(int(row["unsure"]) for row in rows.values()):
        _add_estimates(ended, await columnar.query(estimates_by(group_by, plan.events), asked))
    if any(row["retried"] for row in ended.values()):
        unpriced = await columnar.query(
            unpriced_by(group_by, plan.summed_hours, plan.events), asked
        )
        for name, row in _by_group(unpriced).items():
            ended[name]["unpriced_retried"] = row["unpriced_retried"]
    unknown = await _unknown_attempts(columnar, group_by, plan, tenant, window)
    return {
        name: _present(ended.get(name, {}), unknown.get(name, 0)) for name in {**ended, **unknown}
    }


def _add_estimates(ended: dict[_Group, dict[str, int]], rows: list[dict[str, Any]]) -> None:
    for name, row in _by_group(rows).items():
        for figure, value in zip(ESTIMATES, row["figures"], strict=True):
            ended[name][figure] = ended[name].get(figure, 0) + value


async def _unknown_attempts(
    columnar: Columnar, group_by: str, plan: BucketPlan, tenant: str, window: OpenWindow | None
) -> dict[_Group, int]:
    asked = {
        "tenant": tenant,
        "open_since": window.since_us if window else _LATEST_US,
        "open_writers": list(window.writers) if window else [""],
    }
    where = (plan.summed_hours, plan.events, plan.stale)
    rows = await columnar.query(unended_by(group_by, *where), asked)
    if any(int(row["doubtful"]) for row in rows):  # rare: then an END is looked for everywhere
        rows = await columnar.query(unknown_among(group_by, *where), asked)
    return {name: int(row["unknown_attempts"]) for name, row in _by_group(rows).items()}


def _by_group(rows: list[dict[str, Any]]) -> dict[_Group, dict[str, Any]]:
    return {(row["kind"], row["value"]): row for row in rows}


def _present(row: Mapping[str, Any], unknown_attempts: int) -> dict[str, Any]:
    counts = {name: row.get(name, 0) for name in _COUNTS}
    counts["attempts"] = row.get("ended", 0) + unknown_attempts
    counts["unknown_attempts"] = unknown_attempts
    tokens = {name: row.get(f"sum_{name}", 0) for name in TOKEN_BUCKETS}
    return {
        **counts,
        **tokens,
        "total_tokens": sum(tokens.values()),
        "cache_served_tokens": row.get("cache_served_tokens", 0),
        **_amounts(row, unknown_attempts),
        "unpriced_requests": row.get("unpriced_lone", 0) + row.get("unpriced_retried", 0),
        "estimated_attempts": row.get("estimated_attempts", 0),
        "estimated_usd": usd_text(summed(row, "estimated"))
        if row.get("priced_estimates")
        else None,
    }


def _amounts(row: Mapping[str, Any], unknown_attempts: int) -> dict[str, Any]:
    """The sums as text; what ran and has no known price is never passed off as free."""
    amounts: dict[str, str | None] = {}
    partial: list[str] = []
    for name in AMOUNTS:
        is_partial = row.get(f"unpriced_{name}", 0) + unknown_attempts > 0
        is_unknown = is_partial and not row.get(f"priced_{name}", 0)
        amounts[f"{name}_usd"] = None if is_unknown else usd_text(summed(row, name) if row else 0)
        if is_partial and not is_unknown:
            partial.append(f"{name}_usd")
    return {**amounts, "partial_amounts": partial}


def _weight(row: Mapping[str, Any]) -> tuple[Decimal, int]:
    return Decimal(row["cost_usd"] or 0), row["requests"]


_EVENT_FIELDS = {
    START: ("event_id", "at", *(field.name for field in fields(AttemptStart))),
    END: (
        *("event_id", "at", *(field.name for field in fields(AttemptEnd))),
        *("price_state", "baseline_price_state"),
    ),
}


def _present_event(row: Mapping[str, Any]) -> dict[str, Any]:
    event = {name: row[name] for name in _EVENT_FIELDS[row["kind"]]}
    event["at"] = f"{event['at'].replace(' ', 'T')}Z"
    if row["kind"] == END:
        event["cost_usd"] = _usd_or_none(row["cost_picousd"])
        event["gross_baseline_usd"] = _usd_or_none(row["gross_baseline_picousd"])
    return event


def _estimate_of(row: Mapping[str, Any], estimates: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The estimate of an END, only where its usage is unknown."""
    if row["kind"] != END or row["usage_source"] != "unknown" or row["event_id"] not in estimates:
        return {}
    return {"estimate": estimates[row["event_id"]]}


def _present_estimate(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("model", "encoding", "is_exact_encoding", "is_partial", "input_tokens")
    return {
        "is_billed": False,
        "counted_by": "tiktoken",
        **{name: row[name] for name in (*names, "output_tokens", "price_state")},
        "estimated_usd": _usd_or_none(row["estimated_picousd"]),
    }


def _total_usd(rows: list[dict[str, Any]], column: str) -> str | None:
    """Unknown when any part is: a sum that leaves out a part would look like the truth."""
    amounts = [row[column] for row in rows]
    return None if not amounts or None in amounts else usd_text(sum(amounts))


def _usd_or_none(picousd: int | None) -> str | None:
    return None if picousd is None else usd_text(picousd)


def _instant_us(text: str, name: str) -> int:
    try:
        if _DAY.fullmatch(text):
            instant = datetime.combine(date.fromisoformat(text), time(), UTC)
        else:
            instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageQueryError(
            f"{name} is no instant: {text[:64]!r}", "give 2026-11-01 or 2026-11-01T12:00:00Z (UTC)"
        ) from error
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    since_epoch = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds
