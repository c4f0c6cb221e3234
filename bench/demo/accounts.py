"""Our ledger's sums beside the mock's own bill, model by model, to the token and the pico-USD.

Called by the runner after a replay. Whatever is unequal is listed; the demo fails on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

PICO = 10**12
BUCKETS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "audio_input_tokens", "image_input_tokens", "output_tokens", "reasoning_tokens",
    "audio_output_tokens", "image_output_tokens",
)  # fmt: skip
COST = "cost_picousd"

Sums = dict[str, dict[str, int | None]]  # model -> bucket or cost -> its sum, None if unknown


@dataclass(frozen=True, slots=True)
class Accounts:
    """Both sides by model, and how they differ: nothing in `differences` means exactly equal."""

    ours: Sums
    billed: Sums
    differences: list[str]

    @property
    def is_exact(self) -> bool:
        return not self.differences

    def total(self, side: str, name: str) -> int:
        """The sum over all models of "ours" or "billed"; an unknown part raises TypeError."""
        sums: Sums = getattr(self, side)
        return sum(_known(row[name], name) for row in sums.values())


def compare(
    usage: Mapping[str, Any], bill: Iterable[Mapping[str, Any]], conservation: Mapping[str, Any]
) -> Accounts:
    """`usage` is the admin API's answer by served_model, `bill` the mock's lines."""
    ours, billed = sum_usage(usage), sum_bill(bill)
    differences = []
    for model in sorted(ours.keys() | billed.keys()):
        for name in (*BUCKETS, COST):
            mine, theirs = (side.get(model, {}).get(name, 0) for side in (ours, billed))
            if mine != theirs or mine is None:
                differences.append(f"{model}: {name} {_said(mine)} here, {_said(theirs)} billed")
    if not conservation["is_exact"]:
        differences += [f"conservation: {row}" for row in conservation["rows"]]
    return Accounts(ours, billed, differences)


def sum_usage(usage: Mapping[str, Any]) -> Sums:
    """What providers were paid for; an amount of which a part is unknown is unknown."""
    sums: Sums = {}
    for row in usage["rows"]:
        is_whole = "cost_usd" not in row["partial_amounts"] and row["cost_usd"] is not None
        cost = picousd_of(row["cost_usd"]) if is_whole else None
        sums[row["served_model"]] = {**{name: row[name] for name in BUCKETS}, COST: cost}
    return sums


def sum_bill(bill: Iterable[Mapping[str, Any]]) -> Sums:
    sums: Sums = defaultdict(lambda: dict.fromkeys((*BUCKETS, COST), 0))
    for line in bill:
        row = sums[line["model"]]
        for name in (*BUCKETS, COST):
            before, amount = row[name], line[name]
            row[name] = None if before is None or amount is None else before + amount
    return dict(sums)


def picousd_of(usd: str) -> int:
    """Exact: the API's decimals end at the twelfth."""
    return int(Decimal(usd) * PICO)


def _known(amount: int | None, name: str) -> int:
    if amount is None:
        raise TypeError(f"{name} is unknown")
    return amount


def _said(amount: int | None) -> str:
    return "unknown" if amount is None else f"{amount:,}"
