"""Usage and requests as text for a terminal: aligned columns, thousands separators, totals.

Used by roles/reports.py; exact figures are in the JSON form.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

INPUT_BUCKETS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
OUTPUT_BUCKETS = (
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "image_output_tokens",
)
SMALLEST_USD = Decimal("0.000001")

Row = Mapping[str, Any]


def _estimated(row: Row) -> str:
    """Empty where nothing is estimated; the mark says that it is no amount of anybody's bill."""
    if not row["estimated_attempts"]:
        return ""
    return "unknown" if row["estimated_usd"] is None else f"~{_usd(row['estimated_usd'])}"


# Title -> cell of a usage row.
_COLUMNS: dict[str, Callable[[Row], str]] = {
    "requests": lambda row: _count(row["requests"]),
    "errors": lambda row: _count(row["errors"]),
    "hits": lambda row: _count(row["cache_hits"] + row["coalesced"]),
    "input tok": lambda row: _count(sum(row[name] for name in INPUT_BUCKETS)),
    "output tok": lambda row: _count(sum(row[name] for name in OUTPUT_BUCKETS)),
    "cached tok": lambda row: _count(row["cache_served_tokens"]),
    "cost USD": lambda row: _amount(row, "cost_usd"),
    "baseline USD": lambda row: _amount(row, "gross_baseline_usd"),
    "saved USD": lambda row: _amount(row, "gross_saving_usd"),
    "unpriced": lambda row: _count(row["unpriced_requests"]),
    "unknown": lambda row: _count(row["unknown_attempts"]),
    "estimated USD": _estimated,
}
# Shown only where they say something.
_RARE_COLUMNS = ("errors", "unpriced", "unknown", "estimated USD")


def format_usage(group_by: str, usage: Mapping[str, Any]) -> list[str]:
    """The lines of a usage answer, a totals line last."""
    rows, totals = usage["rows"], usage["totals"]
    if not rows:
        return ["no usage in this period"]
    titles = [
        title
        for title, cell in _COLUMNS.items()
        if title not in _RARE_COLUMNS or cell(totals) not in {"0", ""}
    ]
    named = [(str(row[group_by]) or "(none)", row) for row in rows]
    body = [
        [name, *(_COLUMNS[title](row) for title in titles)]
        for name, row in (*named, ("total", totals))
    ]
    lines = align([[group_by, *titles], *body])
    rule = "-" * max(len(line) for line in lines)
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def align(table: Sequence[Sequence[str]], side: str = "right") -> list[str]:
    """Rows of equal columns: the first to the left, the others, as figures are, to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place and side == "right" else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def format_request(detail: Mapping[str, Any]) -> list[str]:
    """Everything known about one request, event by event; what is empty is left out."""
    facts = {name: value for name, value in detail.items() if name != "events"}
    lines = list(_facts(facts, indent=""))
    for event in detail["events"]:
        lines += ["", f"attempt {event['attempt']} {event['kind']} at {event['at']}"]
        shown = {
            name: value
            for name, value in event.items()
            if name not in {"kind", "at", "at_us", "schema", "attempt", "request_id", "tenant"}
        }
        lines += _facts(shown, indent="  ")
    return lines


def _facts(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value is None or value not in ("", 0, 0.0, [], {}):
            yield f"{indent}{name:<{width}}{_shown(value)}"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    if isinstance(value, dict) and "counted_by" in value:
        return _shown_estimate(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _shown_estimate(estimate: Mapping[str, Any]) -> str:
    """Said so that nobody takes it for what the provider counted."""
    how = f"{estimate['counted_by']}, {estimate['encoding']}"
    if not estimate["is_exact_encoding"]:
        how += f", approximate for {estimate['model']}"
    tokens = " and ".join(
        f"{_shown(estimate[f'{side}_tokens'])} {side}" for side in ("input", "output")
    )
    partly = ", in part extrapolated or left out" if estimate["is_partial"] else ""
    amount = estimate["estimated_usd"]
    price = "at an unknown price" if amount is None else f"~{amount} USD"
    return f"estimate ({how}): not billed: {tokens} tokens{partly}, {price}"


def _count(value: int) -> str:
    return f"{value:,}"


def _amount(row: Row, name: str) -> str:
    """A cost that leaves something out is a lower bound; of a saving even the sign is open."""
    shown = _usd(row[name])
    if name not in row["partial_amounts"]:
        return shown
    if shown.startswith(("<", ">")):
        shown = row[name]
    return f"{shown} + ?" if name == "gross_saving_usd" else f">= {shown}"


def _usd(text: str | None) -> str:
    """Six decimals, which is a millionth of a dollar; less than that is not shown as nothing."""
    if text is None:
        return "unknown"
    amount = Decimal(text)
    if amount and abs(amount) < SMALLEST_USD:
        return f"<{SMALLEST_USD}" if amount > 0 else f">-{SMALLEST_USD}"
    return f"{amount:,.6f}"
