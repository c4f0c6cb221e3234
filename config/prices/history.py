"""The history of the shipped prices: append-only lines, each batch sealed by the next.

Written by `prices build` and `prices update`, read by ledger.price_history. Two kinds of lines:

    {"batch": n, "previous": sha256 of every byte before this line, "recorded_at": instant,
     "sources": {name: {"version" or "citation", "sha256"}}}
    {"provider", "model", "valid_from": day, "valid_to": day, "entry": as in the book, or null}

Rows belong to the batch above them. `valid_from` is included, `valid_to` is not, "" is for ever.
Of the rows that hold on a day the one recorded last counts; a correction is a new row and null
withdraws a model. The last batch is sealed by the book's header, which names the whole's hash.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.files import write_atomically
from config.prices.document import Document, entry_state

HISTORY_PATH = Path(__file__).with_name("history.jsonl")
_HINT = "restore it from the release: past prices are never edited, a correction is a new row"

Providers = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What was recorded of one model of one provider, and where it is from."""

    provider: str
    model: str
    valid_from: str
    valid_to: str
    entry: Mapping[str, Any] | None
    recorded_at: str = ""
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_reviewed(self) -> bool:
        return bool(self.entry and self.entry.get("citation"))

    def holds_on(self, day: str) -> bool:
        """Whether the price was valid on this day, an ISO date."""
        return self.valid_from <= day and (not self.valid_to or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class History:
    """All rows in the order they were recorded, and the hash of the whole file."""

    rows: tuple[PriceRow, ...] = ()
    hash: str = ""
    batches: int = 0

    def select(self, at: date, as_of: datetime | None = None) -> dict[tuple[str, str], PriceRow]:
        """The row that counts for each (provider, model) on a day, by what was known `as_of`."""
        day, known = at.isoformat(), as_of.isoformat() if as_of else ""
        return {
            (row.provider, row.model): row
            for row in self.rows
            if row.holds_on(day) and (not known or row.recorded_at <= known)
        }

    def providers(self, at: date, as_of: datetime | None = None) -> Providers:
        """The book's `providers` on a day, by what was known `as_of` (aware UTC); None is now."""
        found: Providers = {}
        for (provider, model), row in self.select(at, as_of).items():
            if row.entry is not None:
                found.setdefault(provider, {})[model] = row.entry
        return found


def read_history(path: Path = HISTORY_PATH) -> History:
    """The checked history; ConfigError when a line is damaged or a byte of the past was changed."""
    try:
        data = path.read_bytes()
        return _parse(data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"price history {path} cannot be used: {error}", _HINT) from error


def append_batch(
    path: Path, rows: Iterable[PriceRow], recorded_at: datetime, sources: Mapping[str, Any]
) -> History:
    """Adds one batch and returns the whole; OSError. Nothing that is there is touched."""
    past = path.read_bytes() if path.exists() else b""
    history = _parse(past) if past else History()
    if history.rows and history.rows[-1].recorded_at > recorded_at.isoformat():
        raise ConfigError(
            f"the last batch of {path} was recorded later than now",
            "set this machine's clock: what was known when is told by these times",
        )
    head = {
        "batch": history.batches + 1,
        "previous": _sha256(past),
        "recorded_at": recorded_at.isoformat(),
        "sources": sources,
    }
    lines = [head, *(_line_of(row) for row in rows)]
    whole = past + b"".join(_canonical(line) for line in lines)
    write_atomically(path, whole, is_durable=True)
    return _parse(whole)


def _parse(data: bytes) -> History:
    if not data.endswith(b"\n"):
        raise ValueError("its last line is not whole")
    rows: list[PriceRow] = []
    digest, batches, head = hashlib.sha256(), 0, {}
    for number, raw in enumerate(data.splitlines(keepends=True), 1):
        line = json.loads(raw)
        if "batch" in line:
            head, batches = line, batches + 1
            if (line["batch"], line["previous"]) != (batches, digest.hexdigest()):
                raise ValueError(f"line {number}: what lies above it was changed")
        elif not head:
            raise ValueError(f"line {number} belongs to no batch")
        else:
            rows.append(_row_of(line, head))
        digest.update(raw)
    return History(tuple(rows), digest.hexdigest(), batches)


def _row_of(line: Mapping[str, Any], head: Mapping[str, Any]) -> PriceRow:
    return PriceRow(
        provider=line["provider"],
        model=line["model"],
        valid_from=line["valid_from"],
        valid_to=line["valid_to"],
        entry=line["entry"],
        recorded_at=head["recorded_at"],
        sources=head["sources"],
    )


def _line_of(row: PriceRow) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "model": row.model,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "entry": row.entry,
    }


def _canonical(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def book_of(history: History, header: Mapping[str, Any]) -> Document:
    """The book that the history makes on the header's day; the header names the history's hash."""
    providers = history.providers(date.fromisoformat(header["as_of"]))
    states = Counter(
        entry_state(entry) for models in providers.values() for entry in models.values()
    )
    sealed = {**header, "models": dict(sorted(states.items())), "history": history.hash}
    return {"header": sealed, "providers": providers}


def changed_rows(history: History, built: Providers, day: date) -> Iterator[PriceRow]:
    """What a new build says otherwise than the history does on that day.

    A price somebody reviewed stays until it is withdrawn or runs out. A model's first price holds
    for ever back: nothing is known of what it cost before.
    """
    current = history.select(day)
    seen = {(row.provider, row.model) for row in history.rows}
    new = {(p, m): entry for p, models in built.items() for m, entry in models.items()}
    for place in sorted({*current, *new}):
        row, entry = current.get(place), new.get(place)
        if row is not None and (row.is_reviewed or row.entry == entry):
            continue
        if row is None and entry is None:
            continue
        yield PriceRow(*place, day.isoformat() if place in seen else "", "", entry)
