"""What tenants spent: exact, each event once, and nothing from before."""

import pytest

from ledger.spend import read_spend
from tests.ledger.samples import AT_US, HOUR_US, SMALL, Ledger, make_pair


@pytest.mark.engines
async def test_the_sum_of_each_tenant(any_ledger: Ledger) -> None:
    small = {"upstream_model": SMALL, "served_model": SMALL}
    any_ledger.write([
        *make_pair("r1", tenant="acme", at_us=AT_US),
        *make_pair("r2", tenant="acme", at_us=AT_US),
        *make_pair("r3", tenant="globex", at_us=AT_US, **small),
        *make_pair("r4", tenant="globex", at_us=AT_US - 2 * HOUR_US),
    ])  # fmt: skip
    await any_ledger.shipper.ship()
    found = await read_spend(any_ledger.columnar, AT_US - HOUR_US)
    rows = await any_ledger.columnar.query(
        "SELECT request_id, cost_picousd FROM usage_events FINAL WHERE kind = 'end'"
    )
    costs = {row["request_id"]: row["cost_picousd"] for row in rows}
    assert found == {
        "acme": int(costs["r1"]) + int(costs["r2"]), "globex": int(costs["r3"]),
    }  # fmt: skip
    assert found["acme"] > found["globex"] > 0
