"""The columnar store as the control process holds it: open, and away."""

import asyncio
import socket
from pathlib import Path

import pytest

from admin_api.errors import AdminError
from config.clock import Clock
from config.settings import load_settings
from config.tasks import TaskOwner
from roles.usage_store import UsageStore, describe_trouble
from storage.columnar import ColumnarError
from tests.gateway import wait_until


async def test_a_server_that_is_away_is_waited_for_and_readers_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    [said] = [line for line in caplog.messages if "wait on disk" in line]
    assert said.endswith(
        f"127.0.0.1:{port} does not answer: start it, or correct APEX_COLUMNAR_URL"
    )
    stop.set()
    async with asyncio.timeout(30):
        await running
    await store.close()
    await tasks.stop()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HTTPConnectionPool(host='h', port=1): Max retries exceeded", "h:8123 does not answer"),
        ("HTTP driver received HTTP status code 502", "h:8123 does not answer"),
        ("Code: 516. DB::Exception: u: Authentication failed", "error 516: correct user and"),
        ("received ClickHouse error code 81", "error 81: create the database"),
        ("Code: 1000. DB::Exception", "error 1000: its own log says why"),
    ],
)
def test_a_servers_trouble_is_told_without_the_drivers_text(text: str, said: str) -> None:
    trouble = describe_trouble("clickhouse://u:secret@h/usage", ColumnarError(text))
    assert said in trouble
    assert "secret" not in trouble
    assert "HTTP" not in trouble
    assert "DB::" not in trouble


def test_an_embedded_store_tells_its_own() -> None:
    assert describe_trouble("chdb:///d", ColumnarError("disk full")) == "disk full"
