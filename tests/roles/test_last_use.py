"""The last use of keys goes from the usage events into SQL, and changes nothing else of a key."""

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.secrets import KeyRing
from policies.api_key_store import find_key, insert_key
from policies.keys import generate_key
from policies.records import seconds_of
from policies.tenant_store import insert_tenant
from roles.last_use import LastUse
from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar, migrate_sql
from storage.sql import open_sql
from tests.ledger.samples import AT_US, HOUR_US, Ledger, make_pair

CLOCK = Clock(origin=(AT_US + HOUR_US) / 1_000_000)


async def last_used(engine: AsyncEngine, key_id: str) -> tuple[float | None, int]:
    async with engine.connect() as connection:
        row = await find_key(connection, "acme", key_id)
    assert row is not None
    return seconds_of(row["last_used_at"]), row["version"]


async def test_the_last_use_is_noted_once_and_later_ones_after_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    columnar = open_columnar(f"chdb://{tmp_path}/columnar")
    await migrate_columnar(columnar)
    used, idle = generate_key(), generate_key()
    async with engine.begin() as connection:
        await insert_tenant(connection, {"name": "acme"}, 1.0)
        for key, name in ((used, "used"), (idle, "idle")):
            values = {"tenant": "acme", "name": name}
            await insert_key(connection, values, key, KeyRing(b"m" * 32), 1.0)
    store: list[Columnar | None] = [None]
    noting = LastUse(engine, lambda: store[0], CLOCK)
    assert await noting.note() == 0, "the store is not open yet"
    store[0] = columnar
    ledger = Ledger(tmp_path / "home", columnar)
    seen = []
    for number, key_id in enumerate((used.key_id, used.key_id, "declared-elsewhere")):
        at_us = AT_US + number * 1_000_000
        ledger.write(make_pair(f"r{number}", key_id=key_id, at_us=at_us))
        await ledger.shipper.ship()
        seen.append(await noting.note())
    assert seen == [1, 1, 0]
    ends = await columnar.query(
        "SELECT max(at_us) AS at FROM usage_events WHERE key_id = {key:String}",
        {"key": used.key_id},
    )
    moment, version = await last_used(engine, used.key_id)
    assert moment == int(ends[0]["at"]) / 1_000_000
    assert version == 1
    assert (await last_used(engine, idle.key_id))[0] is None
    ledger.writer.close()
    await columnar.close()
    await engine.dispose()
