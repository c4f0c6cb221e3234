"""The control process vouches for its snapshot while that is true, and only then."""

import asyncio
from pathlib import Path

from roles.bus_server import BusServer
from roles.vouching import Voucher
from storage.sql import open_sql
from tests.gateway import wait_until
from tests.roles.test_bus_server import Proxy, serving


async def test_it_vouches_while_sql_answers_and_nothing_waits(tmp_path: Path) -> None:
    bus_path, confirmed = tmp_path / "bus.sock", tmp_path / "confirmed"
    engine = open_sql(f"sqlite+aiosqlite:///{tmp_path / 'apex.db'}")
    proxy, numbers = Proxy(bus_path, 0), iter([0, 7, 7, 7, 8])
    async with serving(bus_path, proxy) as server:
        voucher = Voucher(engine, server, confirmed, lambda: next(numbers))
        assert not await voucher.vouch(), "something that was changed is in no snapshot yet"
        assert not confirmed.exists()
        assert await voucher.vouch()
        await wait_until(lambda: proxy.heard == [{"type": "fresh", "number": 7}])
        assert confirmed.exists()
        assert not await voucher.vouch(), "another came while SQL was asked"
    await engine.dispose()


async def test_without_sql_nobody_is_vouched_for(tmp_path: Path) -> None:
    engine = open_sql("postgresql+asyncpg://u@127.0.0.1:9/none")
    voucher = Voucher(engine, BusServer(tmp_path / "bus.sock"), tmp_path / "confirmed", lambda: 1)
    assert not await voucher.vouch()
    assert not (tmp_path / "confirmed").exists()
    await engine.dispose()


async def test_a_store_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """Row 8: PostgreSQL stopped with SIGSTOP takes connections and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = open_sql(f"postgresql+asyncpg://u@127.0.0.1:{port}/none")
    voucher = Voucher(engine, BusServer(tmp_path / "bus.sock"), tmp_path / "confirmed", lambda: 1)
    assert not await voucher.vouch()
    await engine.dispose()
    server.close()
