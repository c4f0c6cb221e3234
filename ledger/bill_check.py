"""Our recorded attempts against the bill a mock provider kept for itself, attempt by attempt.

Used by ledger.conservation. A provider bills what it served; we know only what reached us, so an
attempt of which we have no END, or whose usage never came, is counted apart and not called equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.events import TOKEN_BUCKETS
from storage.columnar import Columnar

_OURS = """
SELECT concat(request_id, '.', toString(attempt)) AS id, kind, usage_source, cost_picousd,
    <buckets>
FROM usage_events FINAL
WHERE upstream_kind = 'mock' AND cache NOT IN ('hit', 'coalesced')
""".replace("<buckets>", ", ".join(TOKEN_BUCKETS))
_WHY_UNKNOWN = (
    "  unknown here: billed in full, but the answers carried no usage as far as they reached us "
    "(streams without usage, clients that left, a process that was killed)"
)


@dataclass(slots=True)
class BillCheck:
    """Attempts by how bill and record compare; `differences` are the ones that must not be."""

    equal: int = 0
    interrupted: int = 0
    unknown_to_us: int = 0
    billed_picousd: int = 0
    recorded_picousd: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        return not self.differences

    def rows(self, most: int) -> list[str]:
        """Lines of text, at most so many differences."""
        lines = [
            f"bill: {self.equal} attempts equal in tokens and cost, "
            f"{self.interrupted} interrupted, {self.unknown_to_us} complete but unknown here, "
            f"{len(self.differences)} different",
            *([_WHY_UNKNOWN] if self.unknown_to_us else []),
            *(f"  {difference}" for difference in self.differences[:most]),
        ]
        hidden = len(self.differences) - most
        return [*lines, f"  and {hidden} more"] if hidden > 0 else lines


async def check_bill(columnar: Columnar, bill: Sequence[Mapping[str, Any]]) -> BillCheck:
    """Compare every entry of the bill, and every recorded attempt that should be on it."""
    starts: set[str] = set()
    ends: dict[str, dict[str, Any]] = {}
    for row in await columnar.query(_OURS):
        if row["kind"] == "end":
            ends[row["id"]] = row
        else:
            starts.add(row["id"])
    check = BillCheck()
    billed: set[str] = set()
    for entry in bill:
        if entry["id"] in billed:
            check.differences.append(f"{entry['id']}: on the bill twice")
            continue
        billed.add(entry["id"])
        _check_entry(entry, ends.get(entry["id"]), entry["id"] in starts, check)
    check.differences += [
        f"{id_}: recorded with usage, not on the bill"
        for id_, end in ends.items()
        if end["usage_source"] == "provider" and id_ not in billed
    ]
    return check


def _check_entry(
    entry: Mapping[str, Any], end: Mapping[str, Any] | None, has_start: bool, check: BillCheck
) -> None:
    if end is None and not has_start:
        check.differences.append(f"{entry['id']}: on the bill, never recorded")
    elif not entry["complete"]:
        check.interrupted += 1
    elif end is None or end["usage_source"] != "provider":
        check.unknown_to_us += 1
    else:
        _check_amounts(entry, end, check)


def _check_amounts(entry: Mapping[str, Any], end: Mapping[str, Any], check: BillCheck) -> None:
    names = (*TOKEN_BUCKETS, "cost_picousd")
    unequal = [
        f"{name} {entry.get(name, 0)} billed, {end[name]} recorded"
        for name in names
        if entry.get(name, 0) != end[name]
    ]
    check.billed_picousd += entry.get("cost_picousd") or 0
    check.recorded_picousd += end["cost_picousd"] or 0
    if unequal:
        check.differences.append(f"{entry['id']}: {'; '.join(unequal)}")
    else:
        check.equal += 1
