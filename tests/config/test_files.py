"""Files are whole or absent, with the mode asked for."""

import resource
import signal
from pathlib import Path

import pytest

from config.files import create_exclusively, write_atomically


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two", mode=0o600, is_durable=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    path.joinpath("kept").touch()
    with pytest.raises(OSError, match="irectory"):
        write_atomically(path, b"new")
    assert path.joinpath("kept").exists()


def test_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomically(tmp_path / "a.json", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert list(tmp_path.iterdir()) == []


def test_create_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert create_exclusively(path, b"first", mode=0o600)
    assert not create_exclusively(path, b"second", mode=0o600)
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
