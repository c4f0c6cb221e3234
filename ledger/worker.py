"""The worker's body: ships usage events for as long as the role lives. Called by the roles."""

import asyncio
import logging

from ledger.shipper import Shipper
from storage.columnar import ColumnarError

_log = logging.getLogger(__name__)


async def run_worker(shipper: Shipper, stop: asyncio.Event) -> None:
    """Ship until `stop` is set, then once more: what the proxies wrote while they drained.

    Set `stop` after the proxies are gone. What cannot be shipped any more stays on disk.
    """
    await shipper.run(stop)
    try:
        await shipper.ship()
    except ColumnarError as error:
        _log.warning("the last usage events are shipped at the next start: %s", error)
