"""Attempts without END: one that comes at any time ends them, summed or not."""

from typing import Any

import pytest

from ledger.bucket_plan import HOUR_US
from ledger.usage import usage_rows
from storage.columnar import Columnar
from tests.ledger.test_bucket_sql import SINCE_US, insert, make_roller, rows_of
from tests.ledger.test_rolling import ATTEMPT


def start_and_end(lasted: int) -> tuple[dict[str, Any], dict[str, Any]]:
    start, end = rows_of({**ATTEMPT, "lasted": lasted})[0]
    return start, end


async def unknown_in(store: Columnar, first_hour: int, last_hour: int) -> int:
    since, until = ((SINCE_US // HOUR_US + each) * 3600 for each in (first_hour, last_hour))
    rows = await store.query(
        "SELECT toString(toDateTime({since:Int64}, 'UTC')) AS since,"
        " toString(toDateTime({until:Int64}, 'UTC')) AS until",
        {"since": since, "until": until},
    )
    usage = await usage_rows(store, "model", rows[0]["since"], rows[0]["until"])
    return int(usage["totals"]["unknown_attempts"])


@pytest.mark.parametrize("lasted", [0, 6, 12, 120])  # sixths of an hour
@pytest.mark.parametrize("is_summed_between", [True, False])
async def test_an_end_that_comes_late_ends_its_start(
    embedded: Columnar, lasted: int, is_summed_between: bool
) -> None:
    start, end = start_and_end(lasted)
    roller = make_roller(embedded)
    await insert(embedded, "usage_events", [start])
    if is_summed_between:
        await roller.roll()
        await roller.roll()
    assert await unknown_in(embedded, -1, 2) == 1
    await insert(embedded, "usage_events", [end])
    assert await unknown_in(embedded, -1, 2) == 0
    await roller.roll()
    await roller.roll()
    assert await unknown_in(embedded, -1, 2) == 0
    assert await unknown_in(embedded, -1, 40) == 0
