"""The month's spend is that of the calendar month, and empty until the store is open."""

from datetime import UTC, datetime
from pathlib import Path

from config.clock import Clock
from roles.spend_watch import SpendWatch
from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar
from tests.ledger.samples import Ledger, make_pair


async def test_last_month_does_not_count(tmp_path: Path) -> None:
    columnar = open_columnar(f"chdb://{tmp_path}/columnar")
    await migrate_columnar(columnar)
    ledger = Ledger(tmp_path / "home", columnar)
    first = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000
    for name, at_us in (("r1", first - 60_000_000), ("r2", first + 60_000_000)):
        ledger.write(make_pair(name, tenant="acme", at_us=at_us))
    await ledger.shipper.ship()
    store: list[Columnar | None] = [None]
    watch = SpendWatch(lambda: store[0], Clock(origin=first / 1_000_000 + 86_400))
    assert not await watch.look()
    assert watch.spent == {}
    store[0] = columnar
    assert await watch.look()
    rows = await columnar.query(
        "SELECT cost_picousd FROM usage_events FINAL WHERE kind = 'end' AND request_id = 'r2'"
    )
    assert watch.spent == {"acme": int(rows[0]["cost_picousd"])}
    ledger.writer.close()
    await columnar.close()
