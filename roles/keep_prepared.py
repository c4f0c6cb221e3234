"""Keeps the snapshot of a lone proxy true: a child of its own builds it again every few minutes.

Used by `python main.py proxy` where no supervisor runs. While a control process vouches for the
snapshot in this home it has nothing to do; while the SQL store is away the last one stays.
"""

import asyncio
import logging
import sys
from pathlib import Path

from config.clock import Clock
from config.settings import Settings
from roles import places

MAIN = Path(__file__).resolve().parent.parent / "main.py"
INTERVAL_S = 300.0
LONGEST_S = 120.0
VOUCHED_S = 30.0  # what a control process touched so lately needs nobody else

_log = logging.getLogger(__name__)


async def keep_prepared(settings: Settings, interval_s: float = INTERVAL_S) -> None:
    """Build again and again, until cancelled."""
    while True:
        await asyncio.sleep(interval_s)
        if not is_vouched_for(settings):
            await prepare_once(settings)


def is_vouched_for(settings: Settings) -> bool:
    """Whether a control process looks after this home now."""
    try:
        touched = places.confirmed_path(settings).stat().st_mtime
    except OSError:
        return False
    return Clock().now() - touched < VOUCHED_S


async def prepare_once(settings: Settings) -> bool:
    """Whether the child ended well; its own words are on our standard error."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(MAIN), "prepare", env=dict(settings.environ)
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            status = await child.wait()
    except TimeoutError:
        status = None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if status != 0:
        _log.warning("the snapshot could not be built again: the last good one stays")
    return status == 0
