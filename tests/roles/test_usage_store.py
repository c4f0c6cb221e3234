"""The columnar store as the control process holds it: open, and away."""

import asyncio
import socket
from pathlib import Path

import pytest

from admin_api.errors import AdminError
from config.clock import Clock
from config.settings import load_settings
from config.tasks import TaskOwner
from roles.usage_store import UsageStore
from tests.gateway import wait_until


async def test_a_server_that_is_away_is_waited_for_and_readers_are_told(tmp_path: Path) -> None:
    """Reliability, row 5: the events stay on disk meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    url = f"clickhouse://u@127.0.0.1:{port}/usage"
    settings = load_settings({"APEX_HOME": str(tmp_path), "APEX_COLUMNAR_URL": url})
    store = UsageStore(settings, Clock(), None)
    stop = asyncio.Event()
    tasks = TaskOwner()
    running = tasks.start(store.run(stop), "usage store")

    async def has_tried() -> bool:
        return str(port) in str((await store.describe()).facts.get("reason"))

    await wait_until(has_tried, 30)
    assert not (await store.describe()).is_ok
    assert not store.opened.is_set()
    with pytest.raises(AdminError) as caught:
        await store.open_fresh()
    assert caught.value.status == 503
    stop.set()
    async with asyncio.timeout(30):
        await running
    await store.close()
    await tasks.stop()
