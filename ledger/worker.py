"""The worker's body: ships usage, estimates and sums it for as long as the role lives.

Called by the roles.
"""

import asyncio
import logging

from ledger.estimates import Estimator
from ledger.rolling import Roller
from ledger.shipper import Shipper
from storage.columnar import ColumnarError

_log = logging.getLogger(__name__)


async def run_worker(
    shipper: Shipper,
    stop: asyncio.Event,
    estimator: Estimator | None = None,
    roller: Roller | None = None,
) -> None:
    """Ship until `stop` is set, then once more: what the proxies wrote while they drained.

    Set `stop` after the proxies are gone. What cannot be shipped any more stays on disk.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(shipper.run(stop))
        if estimator is not None:
            tasks.create_task(estimator.run(stop))
        if roller is not None:
            tasks.create_task(roller.run(stop))
    try:
        await shipper.ship()
    except ColumnarError as error:
        _log.warning("the last usage events are shipped at the next start: %s", error)
