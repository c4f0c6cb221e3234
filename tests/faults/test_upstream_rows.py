"""Every fault an upstream can commit, through the real proxy, with the official client as judge.

Rows 11-16 of the fault table (B3). What must come of each stands in the rows themselves; all rows
run at once, because most of their time is spent waiting.
"""

import asyncio
from pathlib import Path

import openai
import pytest
import uvloop

from tests.faults.observing import observe
from tests.faults.row import Row, Seen
from tests.faults.rows_bodies import BODY_ROWS
from tests.faults.rows_status import CONNECTION_ROWS, STATUS_ROWS
from tests.faults.rows_streams import BROKEN_STREAM_ROWS, UNUSUAL_STREAM_ROWS
from tests.proxy_gateway import API_KEY

ROWS = [*STATUS_ROWS, *CONNECTION_ROWS, *BODY_ROWS, *BROKEN_STREAM_ROWS, *UNUSUAL_STREAM_ROWS]
MOST_AT_ONCE = 8
pytestmark = pytest.mark.timeout(300)  # whichever test comes first waits for all rows
Observed = list[dict[str, Seen] | BaseException]


pytestmark = pytest.mark.xdist_group("upstream rows")  # the rows run once, not in each worker


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Run every row once; a row that failed to run keeps its error for its own test."""
    return uvloop.run(observe_all(tmp_path_factory.mktemp("rows")))


async def observe_all(directory: Path) -> Observed:
    gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(number: int, row: Row) -> dict[str, Seen]:
        async with gate:
            return await observe(row, directory / str(number), client)

    async with openai.AsyncOpenAI(api_key=API_KEY, max_retries=0, timeout=180) as client:
        runs = (run(number, row) for number, row in enumerate(ROWS))
        return await asyncio.gather(*runs, return_exceptions=True)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda number: ROWS[number].name)
def test_each_fault_comes_to_what_its_row_says(observed: Observed, number: int) -> None:
    row, seen = ROWS[number], observed[number]
    if isinstance(seen, BaseException):
        raise seen
    expected = {"document": row.document, "stream": row.stream}
    assert seen == {call: what for call, what in expected.items() if what is not None}


def test_no_fault_of_before_the_end_is_ever_kept() -> None:
    """What the rows expect of the cache is itself held to a rule."""
    for row in ROWS:
        for seen in filter(None, (row.document, row.stream)):
            assert not seen.is_kept or seen.client == "the answer", row.name
            assert not (seen.is_rescued and seen.client == "the answer"), row.name
