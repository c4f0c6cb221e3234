"""Writing segments: rotation, disks that are full or failing, and a writer that is killed."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.segment_log import LogWriteError, SegmentWriter
from ledger.segment_reader import is_writer_alive, list_segments, read_segment
from tests.gateway import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


def read_all(directory: Path) -> list[bytes]:
    return [r.payload for s in list_segments(directory) for r in read_segment(s.path)]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SegmentWriter]:
    made = SegmentWriter(tmp_path, "proxy-0-aa", max_bytes=1000, sync_interval_s=0.01)
    yield made
    made.close()


def test_a_record_can_be_read_when_append_returns(writer: SegmentWriter, tmp_path: Path) -> None:
    for number in range(100):
        writer.append(b"%d" % number)
        assert read_all(tmp_path)[-1] == b"%d" % number


def test_rotation_keeps_every_record_in_order(writer: SegmentWriter, tmp_path: Path) -> None:
    payloads = [b"%03d" % number * 20 for number in range(200)]
    for first in range(0, 200, 4):
        writer.append_many(payloads[first : first + 4])
    assert read_all(tmp_path) == payloads
    assert len(list_segments(tmp_path)) > 5


def test_a_writer_id_has_one_process(writer: SegmentWriter, tmp_path: Path) -> None:
    assert is_writer_alive(tmp_path / "proxy-0-aa")
    with pytest.raises(LogWriteError, match="another process"):
        SegmentWriter(tmp_path, "proxy-0-aa")
    writer.close()
    again = SegmentWriter(tmp_path, "proxy-0-aa")
    again.append(b"x")
    again.close()
    assert [s.path.name for s in list_segments(tmp_path)] == ["00000001.seg", "00000002.seg"]


def test_a_closed_log_refuses(writer: SegmentWriter) -> None:
    writer.close()
    writer.close()
    with pytest.raises(LogWriteError) as caught:
        writer.append(b"x")
    assert "free space" in caught.value.hint


def test_closing_syncs_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    writer = SegmentWriter(tmp_path, "proxy-0-aa", sync_interval_s=60)
    writer.append(b"x")
    writer.close()
    assert synced


async def test_records_are_synced_in_groups(
    writer: SegmentWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust row 20: what a power cut takes is bounded by the interval."""
    threads: set[str] = set()
    monkeypatch.setattr(os, "fdatasync", lambda _: threads.add(threading.current_thread().name))
    writer.append(b"x")
    await wait_until(lambda: bool(threads))
    assert threads == {"segment-sync"}


async def test_a_failed_sync_moves_to_a_new_file(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust row 7: after EIO the same file is not trusted again."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    writer.append(b"before")
    await wait_until(lambda: writer.failures > 0)
    monkeypatch.undo()
    await wait_until(lambda: writes_elsewhere(writer, tmp_path))
    assert read_all(tmp_path)[0] == b"before"


def writes_elsewhere(writer: SegmentWriter, directory: Path) -> bool:
    writer.append(b"after")
    return len(list_segments(directory)) > 1


@pytest.mark.parametrize("taken", [0, 5, 12])
def test_a_short_write_is_written_again_in_the_next_file(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    write = os.write
    writer.append(b"before")
    monkeypatch.setattr(os, "write", lambda fd, data: cut_once(fd, data[:taken]))

    def cut_once(fd: int, data: bytes) -> int:
        monkeypatch.undo()
        return write(fd, data)

    writer.append(b"during")
    writer.append(b"after")
    assert read_all(tmp_path) == [b"before", b"during", b"after"]
    assert writer.failures == 1


def test_a_failed_write_is_written_again_in_the_next_file(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(_fd: int, _data: bytes) -> int:
        monkeypatch.undo()
        raise OSError(5, "Input/output error")

    writer.append(b"before")
    monkeypatch.setattr(os, "write", fail_once)
    writer.append_many([b"during", b"too"])
    assert read_all(tmp_path) == [b"before", b"during", b"too"]


def test_a_full_disk_refuses_and_recovers_without_litter(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust row 6: nothing is served that cannot be recorded; space again is service again."""

    def fail(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    writer.append(b"before")
    monkeypatch.setattr(os, "write", fail)
    for _ in range(20):
        with pytest.raises(LogWriteError, match="No space left"):
            writer.append(b"lost and refused")
    assert len(list_segments(tmp_path)) == 1
    monkeypatch.undo()
    writer.append(b"after")
    assert read_all(tmp_path) == [b"before", b"after"]


def test_no_new_file_means_a_longer_one(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    writer.append(b"x" * 1000)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        writer.append(b"y")
    assert read_all(tmp_path) == [b"x" * 1000, b"y"]


@pytest.mark.parametrize("is_cut_possible", [True, False])
def test_a_torn_record_without_a_next_file_hides_nothing_written_later(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cut_possible: bool
) -> None:
    """A disk that fills up inside a record: a reader stops at what is torn."""
    write = os.write

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    writer.append(b"before")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: write(fd, data[:12]))
        full.setattr(os, "open", fail)
        if not is_cut_possible:
            full.setattr(os, "ftruncate", fail)
        for _ in range(3):
            with pytest.raises(LogWriteError, match="No space left"):
                writer.append(b"torn and refused")
    for number in range(3):
        writer.append(b"after %d" % number)
    assert read_all(tmp_path) == [b"before", b"after 0", b"after 1", b"after 2"]


async def test_the_sync_thread_outlives_a_lack_of_descriptors(
    writer: SegmentWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(os, "open", fail)
        writer.append(b"x")
        await wait_until(lambda: writer.failures > 0)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    writer.append(b"y")
    await wait_until(lambda: bool(synced))


def test_a_file_size_limit_is_refused_without_loss(tmp_path: Path) -> None:
    """A real refusal of the kernel: RLIMIT_FSIZE in a child."""
    code = (
        "import sys; from pathlib import Path\n"
        "from ledger.segment_log import SegmentWriter, LogWriteError\n"
        "writer = SegmentWriter(Path(sys.argv[1]), 'proxy-0-aa')\n"
        "for number in range(100):\n"
        "    writer.append(b'%03d' % number * 100)\n"
        "try: writer.append(b'x' * 20_000)\n"
        "except LogWriteError: print('refused')\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        check=True, preexec_fn=limit_file_size,
    )  # fmt: skip
    assert child.stdout == "refused\n"
    assert read_all(tmp_path) == [b"%03d" % number * 100 for number in range(100)]


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


@pytest.mark.parametrize("delay", range(6))
def test_kill_9_loses_no_acknowledged_record(tmp_path: Path, delay: int) -> None:
    """Trust row 19: each number is printed after its append returned; none may be missing."""
    code = (
        "import itertools, os, sys; from pathlib import Path\n"
        "from ledger.segment_log import SegmentWriter\n"
        "writer = SegmentWriter(Path(sys.argv[1]), 'proxy-0-aa', max_bytes=20_000)\n"
        "for number in itertools.count():\n"
        "    writer.append(b'%d ' % number + b'x' * (number % 997))\n"
        "    os.write(1, b'%d\\n' % number)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(1 + delay * 500):
            acknowledged = int(child.stdout.readline())
        child.kill()
        rest = child.stdout.read().splitlines()
    acknowledged = int(rest[-1]) if rest else acknowledged
    numbers = [int(payload.split(b" ")[0]) for payload in read_all(tmp_path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in {acknowledged + 1, acknowledged + 2}
    assert not is_writer_alive(tmp_path / "proxy-0-aa")
