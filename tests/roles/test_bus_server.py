"""The control process's end of the bus, with the proxies' real client at the other end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.bus import BusClient, Message
from config.tasks import TaskOwner
from roles.bus_server import BusServer
from tests.gateway import wait_until


class Proxy:
    """A bus client that keeps what it hears and answers purges with a fixed number."""

    def __init__(self, path: Path, index: int, removed: int | None = 0) -> None:
        self.heard: list[Message] = []
        self._removed = removed
        hello = {"type": "hello", "role": "proxy", "pid": 100 + index, "index": index}
        self.client = BusClient(path, self._receive, hello)

    def _receive(self, message: Message) -> Message | None:
        self.heard.append(message)
        if message["type"] != "purge" or self._removed is None:
            return None
        return {"type": "purged", "removed": self._removed}


@asynccontextmanager
async def serving(path: Path, *proxies: Proxy) -> AsyncIterator[BusServer]:
    server = BusServer(path)
    await server.start()
    tasks = TaskOwner()
    for proxy in proxies:
        tasks.start(proxy.client.run(), "proxy")
    try:
        await wait_until(lambda: len(server.proxies) == len(proxies))
        yield server
    finally:
        await tasks.stop()
        await server.stop()


async def test_snapshots_reach_proxies_now_and_later(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    early, late = Proxy(path, 0), Proxy(path, 1)
    async with serving(path, early) as server:
        server.announce_snapshot(3)
        await wait_until(lambda: early.heard == [{"type": "snapshot", "number": 3}])
        tasks = TaskOwner()
        tasks.start(late.client.run(), "late")
        await wait_until(lambda: late.heard == [{"type": "snapshot", "number": 3}])
        assert server.proxies == [{"index": 0, "pid": 100}, {"index": 1, "pid": 101}]
        await tasks.stop()
        await wait_until(lambda: len(server.proxies) == 1)


async def test_a_purge_adds_up_what_the_proxies_removed(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    first, second = Proxy(path, 0, removed=2), Proxy(path, 1, removed=5)
    async with serving(path, first, second) as server:
        assert await server.purge("acme") == (7, 2)
        assert first.heard[-1]["tenant"] == "acme"
        assert await server.purge(None) == (7, 2)


async def test_a_silent_proxy_does_not_hold_up_a_purge(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    async with serving(path, Proxy(path, 0, removed=2), Proxy(path, 1, removed=None)) as server:
        assert await server.purge(None, timeout_s=0.2) == (2, 1)


async def test_a_purge_without_proxies_is_done_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path / "bus.sock") as server:
        assert await server.purge(None) == (0, 0)


async def test_a_proxy_that_leaves_during_a_purge_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    async with serving(path) as server:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"type":"hello","role":"proxy","pid":9,"index":0}\nnot json\n')
        await wait_until(lambda: len(server.proxies) == 1)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            purge = tasks.create_task(server.purge(None, timeout_s=60))
            await asyncio.sleep(0)
            writer.close()
        assert purge.result() == (0, 0)


async def test_a_stale_socket_file_is_replaced_and_ours_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run" / "bus.sock"
    path.parent.mkdir()
    path.write_text("left by a killed process")
    async with serving(path) as server:
        assert server.is_listening
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
    assert not server.is_listening
