"""What keys have cost since a moment, on every engine."""

import pytest

from ledger.spending import spent_by_key
from tests.ledger.samples import AT_US, HOUR_US, Ledger, make_pair

DAY_US = 24 * HOUR_US


@pytest.mark.engines
async def test_sums_are_by_tenant_and_key_and_within_the_range(any_ledger: Ledger) -> None:
    any_ledger.write([
        *make_pair("r1"),
        *make_pair("r2"),
        *make_pair("r3", key_id="other"),
        *make_pair("r4", cache="hit", usage_source="cache"),
        *make_pair("r5", usage_source="unknown"),
        *make_pair("r6", at_us=AT_US - DAY_US),
    ])  # fmt: skip
    await any_ledger.shipper.ship()
    spent = await spent_by_key(any_ledger.columnar, AT_US - HOUR_US, AT_US + HOUR_US)
    (mine,) = [amount for (_, key), amount in spent.items() if key != "other"]
    (others,) = [amount for (_, key), amount in spent.items() if key == "other"]
    assert mine == 2 * others > 0
    assert await spent_by_key(any_ledger.columnar, AT_US + HOUR_US, AT_US + DAY_US) == {}
