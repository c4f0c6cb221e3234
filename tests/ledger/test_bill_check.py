"""Our record against a provider's bill."""

from typing import Any

from ledger.bill_check import BillCheck, check_bill
from tests.ledger.samples import Ledger, make_end, make_pair, make_start

COST = 450_000_000


def entry(id_: str, **changes: Any) -> dict[str, Any]:
    amounts = {"input_tokens": 100, "output_tokens": 10, "cost_picousd": COST}
    return {"id": id_, "model": "large-1", "complete": True, **amounts, **changes}


async def check(ledger: Ledger, *bill: dict[str, Any]) -> BillCheck:
    await ledger.shipper.ship()
    return await check_bill(ledger.columnar, bill)


async def test_equal_attempts_are_counted(ledger: Ledger) -> None:
    ledger.write([*make_pair("r1"), make_start("r2"), make_end("r2", is_final=False)])
    ledger.write([make_start("r2", 2), make_end("r2", 2)])
    found = await check(ledger, entry("r1.1"), entry("r2.1"), entry("r2.2"))
    assert found.is_exact
    assert (found.equal, found.billed_picousd, found.recorded_picousd) == (3, 3 * COST, 3 * COST)
    assert len(found.rows(0)) == 1


async def test_every_difference_is_named(ledger: Ledger) -> None:
    ledger.write([e for number in range(4) for e in make_pair(f"r{number}")])
    found = await check(
        ledger,
        entry("r0.1", input_tokens=99),
        entry("r1.1", cost_picousd=COST + 1),
        entry("r2.1", reasoning_tokens=1),
        entry("r2.1"),
        entry("lost.1"),
    )
    assert sorted(found.differences) == [
        "lost.1: on the bill, never recorded",
        "r0.1: input_tokens 99 billed, 100 recorded",
        f"r1.1: cost_picousd {COST + 1} billed, {COST} recorded",
        "r2.1: on the bill twice",
        "r2.1: reasoning_tokens 1 billed, 0 recorded",
        "r3.1: recorded with usage, not on the bill",
    ]
    assert len(found.rows(2)) == 4
    assert found.rows(2)[-1] == "  and 4 more"


async def test_what_we_cannot_know_is_no_difference(ledger: Ledger) -> None:
    """Killed between START and END, or left before the usage came: unknown here, billed there."""
    ledger.write([make_start("killed"), *make_pair("left", usage_source="unknown")])
    found = await check(ledger, entry("killed.1"), entry("left.1"))
    assert (found.is_exact, found.unknown_to_us, found.equal) == (True, 2, 0)
    assert "carried no usage" in found.rows(0)[1]


async def test_interrupted_answers_and_hits_are_not_compared(ledger: Ledger) -> None:
    ledger.write(make_pair("cut", usage_source="unknown", outcome="truncated"))
    ledger.write(make_pair("hit", cache="hit", usage_source="cache"))
    found = await check(ledger, entry("cut.1", complete=False, output_tokens=3))
    assert (found.is_exact, found.interrupted) == (True, 1)


async def test_an_unpriced_attempt_equals_an_unpriced_entry(ledger: Ledger) -> None:
    ledger.write(make_pair("r1", upstream_model="own", served_model="own"))
    assert (await check(ledger, entry("r1.1", cost_picousd=None))).equal == 1
