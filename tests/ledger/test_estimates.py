"""Working off the spool: once each, whatever fails or is repeated; foreign files are set aside."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.clock import Clock
from config.metrics import Metrics
from config.secrets import KeyRing
from ledger.book_shelf import BookShelf
from ledger.estimates import Estimator
from ledger.events import END, event_id
from ledger.token_counting import FILES, EncodingMissingError
from ledger.unmetered_record import SUFFIX, UnmeteredRecord, seal_record
from storage.columnar import Columnar, ColumnarError, open_columnar
from storage.migrations import migrate_columnar
from tests.columnar_engines import ColumnarServer
from tests.gateway import wait_until
from tests.ledger.samples import AT_US
from tests.ledger.test_estimating import make_record

ROOT = Path(__file__).resolve().parents[2]
RING = KeyRing(b"k" * 32)
COUNT = "SELECT count() AS rows, uniqExact(event_id) AS attempts FROM usage_estimates FINAL"
MONTH_US = 31 * 24 * 3_600_000_000


def make_estimator(home: Path, columnar: Columnar, **changes: Any) -> Estimator:
    parts: dict[str, Any] = {
        "directory": home / "unmetered", "key_ring": RING, "columnar": columnar,
        "books": BookShelf(home / "price-books"), "clock": Clock(), **changes,
    }  # fmt: skip
    return Estimator(**parts)


def spool(home: Path, request_id: str, record: UnmeteredRecord | None = None) -> Path:
    part = home / "unmetered" / "proxy-0"
    part.mkdir(parents=True, exist_ok=True)
    path = part / f"{event_id('acme', request_id, 1, END)}{SUFFIX}"
    path.write_bytes(seal_record(record or make_record(request_id=request_id), RING))
    return path


async def count(columnar: Columnar) -> tuple[int, int]:
    [row] = await columnar.query(COUNT)
    return row["rows"], row["attempts"]


@pytest.mark.engines
async def test_each_record_becomes_one_row_and_is_gone(tmp_path: Path, columnar: Columnar) -> None:
    paths = [spool(tmp_path, f"r{place}") for place in range(450)]
    late = make_record(request_id="late", at_us=AT_US + MONTH_US)
    paths.append(spool(tmp_path, "late", late))
    assert await make_estimator(tmp_path, columnar).estimate() == 451
    assert await count(columnar) == (451, 451)
    assert not any(path.exists() for path in paths)


@pytest.mark.engines
async def test_the_same_record_again_is_the_same_row(tmp_path: Path, columnar: Columnar) -> None:
    """As after a kill between insert and delete: the file is there, the row, too."""
    estimator = make_estimator(tmp_path, columnar)
    for others in ([], ["r2"], []):
        for request_id in ("r1", *others):
            spool(tmp_path, request_id)
        await estimator.estimate()
    assert await count(columnar) == (2, 2)


async def test_a_lost_reply_or_a_failed_insert_loses_and_doubles_nothing(
    tmp_path: Path, columnar_server: ColumnarServer
) -> None:
    store = open_columnar(columnar_server.url(await columnar_server.make_database()))
    await migrate_columnar(store)
    estimator = make_estimator(tmp_path, store)
    path = spool(tmp_path, "r1")
    for fault in ("fail_inserts", "lose_replies"):
        await columnar_server.set_fault(**{fault: 10})  # the driver tries again itself
        with pytest.raises(ColumnarError):
            await estimator.estimate()
        assert path.exists()
    await columnar_server.set_fault()
    assert await estimator.estimate() == 1
    assert await count(store) == (1, 1)
    assert not path.exists()
    await store.close()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


async def test_what_cannot_be_read_is_set_aside_and_logged_by_name_only(
    tmp_path: Path, embedded: Columnar, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, good = spool(tmp_path, "r1"), spool(tmp_path, "r2")
    damage(damaged)
    foreign = damaged.with_name("notes.txt")
    foreign.write_text("somebody's canary")
    sparse = spool(tmp_path, "r3")
    with sparse.open("r+b") as file:
        file.truncate(2**33)
    start = spool(tmp_path, "r4", make_record(request_id="r4", kind="start"))
    metrics = Metrics(tmp_path / "metrics", "control")
    assert await make_estimator(tmp_path, embedded, metrics=metrics).estimate() == 1
    aside = {path.name for path in (tmp_path / "unmetered" / "aside").iterdir()}
    assert aside == {damaged.name, foreign.name, sparse.name, start.name}
    assert not good.exists()
    assert "canary" not in caplog.text
    assert all(name in caplog.text for name in aside)


async def test_a_link_is_not_followed_and_a_pipe_not_waited_for(
    tmp_path: Path, embedded: Columnar
) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(seal_record(make_record(), RING))
    link, pipe = spool(tmp_path, "r1"), spool(tmp_path, "r2")
    for path in (link, pipe):
        path.unlink()
    link.symlink_to(target)
    os.mkfifo(pipe)
    async with asyncio.timeout(10):
        assert await make_estimator(tmp_path, embedded).estimate() == 0
    assert target.exists()


async def test_few_are_kept_aside(tmp_path: Path, embedded: Columnar) -> None:
    for place in range(120):
        damage(spool(tmp_path, f"r{place}"))
    await make_estimator(tmp_path, embedded).estimate()
    assert len(list((tmp_path / "unmetered" / "aside").iterdir())) == 100


async def test_what_a_killed_proxy_was_writing_goes_after_a_minute(
    tmp_path: Path, embedded: Columnar
) -> None:
    part = spool(tmp_path, "r1").parent
    old, new = part / ".old.sealed.1.tmp", part / ".new.sealed.2.tmp"
    for path, age_s in ((old, 90), (new, 5)):
        path.write_bytes(b"half")
        seconds = Clock().now() - age_s
        os.utime(path, (seconds, seconds))
    await make_estimator(tmp_path, embedded).estimate()
    assert [path.name for path in part.iterdir()] == [new.name]


async def test_without_encodings_the_records_wait(
    tmp_path: Path, embedded: Columnar, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spool(tmp_path, "r1")
    estimator = make_estimator(tmp_path, embedded)
    with monkeypatch.context() as changed:
        changed.setitem(FILES, "cl100k_base", "no-such-file")
        with pytest.raises(EncodingMissingError):
            await estimator.estimate()
    assert path.exists()
    assert await estimator.estimate() == 1


async def test_it_runs_until_told_and_survives_a_store_that_fails(
    tmp_path: Path, columnar_server: ColumnarServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_columnar(columnar_server.url(await columnar_server.make_database()))
    await migrate_columnar(store)
    path = spool(tmp_path, "r1")
    await columnar_server.set_fault(fail_inserts=1)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(make_estimator(tmp_path, store).run(stop))
        await wait_until(lambda: not path.exists(), 20)
        stop.set()
    assert caplog.text.count("not estimated for now") == 1
    assert await count(store) == (1, 1)
    await store.close()


async def test_nothing_to_do_is_no_error(tmp_path: Path, embedded: Columnar) -> None:
    assert await make_estimator(tmp_path, embedded).estimate() == 0


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from storage.columnar import open_columnar
from storage.migrations import migrate_columnar
from tests.ledger.test_estimates import make_estimator

async def main() -> None:
    home = Path(sys.argv[1])
    store = open_columnar(f"chdb://{home}/columnar")
    await migrate_columnar(store)
    insert = store.insert_json_lines

    async def insert_and_die(*words: object) -> None:
        await insert(*words)
        os.kill(os.getpid(), signal.SIGKILL)

    store.insert_json_lines = insert_and_die
    await make_estimator(home, store).estimate()

asyncio.run(main())
"""


async def test_kill_9_between_insert_and_delete_loses_and_doubles_nothing(tmp_path: Path) -> None:
    paths = [spool(tmp_path, f"r{place}") for place in range(5)]
    died = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert all(path.exists() for path in paths)
    store = open_columnar(f"chdb://{tmp_path}/columnar")
    assert await count(store) == (5, 5)
    paths.append(spool(tmp_path, "r5"))  # another batch, which no token of the engine knows
    assert await make_estimator(tmp_path, store).estimate() == 6
    assert await count(store) == (6, 6)
    assert not any(path.exists() for path in paths)
    await store.close()
