"""One owner per home, and how its roles are found."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.home import (
    HomeLock,
    find_lock_owner,
    read_discovery,
    remove_discovery,
    write_discovery,
)

HOLDER = """
import sys
from pathlib import Path
from config.home import HomeLock
with HomeLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with HomeLock(home):
        assert find_lock_owner(home) == os.getpid()
        with pytest.raises(ConfigError) as caught:
            HomeLock(home).acquire()
    assert f"pid {os.getpid()}" in caught.value.message
    assert "APEX_HOME" in caught.value.hint
    assert find_lock_owner(home) is None
    with HomeLock(home):
        pass


def test_lock_dies_with_its_process(tmp_path: Path) -> None:
    """trust.md B3 row 19: a killed owner leaves nothing to clean up."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert find_lock_owner(tmp_path) == child.pid
        with pytest.raises(ConfigError, match=f"pid {child.pid}"):
            HomeLock(tmp_path).acquire()
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    with HomeLock(tmp_path):
        assert find_lock_owner(tmp_path) == os.getpid()


def test_home_that_was_never_used_has_no_owner(tmp_path: Path) -> None:
    assert find_lock_owner(tmp_path / "none") is None


def test_unusable_home_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        HomeLock(tmp_path / "file").acquire()


def test_release_without_acquire_is_harmless(tmp_path: Path) -> None:
    HomeLock(tmp_path).release()


def test_discovery_round_trip(tmp_path: Path) -> None:
    directory = tmp_path / ".service_discovery"
    write_discovery(directory, "proxy", {"port": 8080})
    write_discovery(directory, "admin", {"port": 8081})
    write_discovery(directory, "proxy", {"port": 8082})
    assert read_discovery(directory) == {"admin": {"port": 8081}, "proxy": {"port": 8082}}
    remove_discovery(directory, "proxy")
    remove_discovery(directory, "proxy")
    assert list(read_discovery(directory)) == ["admin"]


def test_unreadable_discovery_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_discovery(tmp_path, "proxy", {"port": 8080})
    tmp_path.joinpath("torn.json").write_bytes(b'{"po')
    tmp_path.joinpath("list.json").write_bytes(b"[]")
    assert list(read_discovery(tmp_path)) == ["proxy"]
    assert "torn.json" in caplog.text
    assert "list.json" in caplog.text


def test_missing_discovery_is_empty(tmp_path: Path) -> None:
    assert read_discovery(tmp_path / "none") == {}
