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
    assert write_discovery(directory, "proxy", {"port": 8080})
    assert write_discovery(directory, "admin", {"port": 8081})
    assert write_discovery(directory, "proxy", {"port": 8082})
    announced = read_discovery(directory)
    assert {name: each["port"] for name, each in announced.items()} == {
        "admin": 8081,
        "proxy": 8082,
    }
    assert announced["proxy"]["pid"] == os.getpid()
    remove_discovery(directory, "proxy")
    remove_discovery(directory, "proxy")
    assert list(read_discovery(directory)) == ["admin"]


ANNOUNCER = """
import sys
from pathlib import Path
from config.home import write_discovery
print(write_discovery(Path(sys.argv[1]), "proxy", {"port": 1}), flush=True)
sys.stdin.read()
"""


def test_what_another_living_process_announced_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ANNOUNCER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        assert not write_discovery(tmp_path, "proxy", {"port": 2})
        assert f"process {child.pid}" in caplog.text
        remove_discovery(tmp_path, "proxy")
        assert read_discovery(tmp_path)["proxy"]["port"] == 1
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    assert write_discovery(tmp_path, "proxy", {"port": 2})
    assert read_discovery(tmp_path)["proxy"]["port"] == 2


def test_a_discovery_file_with_a_pid_alone_is_judged_by_it(tmp_path: Path) -> None:
    path = tmp_path / "proxy.json"
    path.write_text(f'{{"pid": {os.getppid()}}}')
    assert not write_discovery(tmp_path, "proxy", {})
    path.write_text(f'{{"pid": {os.getpid()}}}')
    assert write_discovery(tmp_path, "proxy", {})


def test_unreadable_discovery_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_discovery(tmp_path, "proxy", {"port": 8080})
    tmp_path.joinpath("torn.json").write_bytes(b'{"po')
    tmp_path.joinpath("list.json").write_bytes(b"[]")
    assert list(read_discovery(tmp_path)) == ["proxy"]
    assert "torn.json" in caplog.text
    assert "list.json" in caplog.text


def test_missing_discovery_is_empty(tmp_path: Path) -> None:
    assert read_discovery(tmp_path / "none") == {}
