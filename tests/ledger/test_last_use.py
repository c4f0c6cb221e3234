"""When keys were last used: the newest event of each, and none from before the window."""

import pytest

from ledger.last_use import read_last_use
from tests.ledger.samples import AT_US, HOUR_US, Ledger, make_pair


@pytest.mark.engines
async def test_the_newest_event_of_each_key(any_ledger: Ledger) -> None:
    any_ledger.write([
        *make_pair("r1", key_id="a", at_us=AT_US),
        *make_pair("r2", key_id="a", at_us=AT_US + 5),
        *make_pair("r3", key_id="b", at_us=AT_US - HOUR_US),
    ])  # fmt: skip
    await any_ledger.shipper.ship()
    found = await read_last_use(any_ledger.columnar, AT_US - 2 * HOUR_US)
    assert set(found) == {"a", "b"}
    assert found["a"] - found["b"] == HOUR_US + 5
    assert set(await read_last_use(any_ledger.columnar, AT_US)) == {"a"}
