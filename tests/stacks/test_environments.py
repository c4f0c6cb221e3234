"""tests/stacks/environments.py: locks that trust nothing unnamed, and failures that say why."""

import fcntl
import json
from pathlib import Path

import pytest

from tests.stacks.catalogue import HERE, STACKS
from tests.stacks.environments import EnvironmentFailedError, alone, install_python, prepare

LOCKS = sorted(HERE.glob("*.txt"))
PACKAGE_LOCKS = sorted(HERE.glob("*/package-lock.json"))
ABSENT = f"absent-package==1.0 --hash=sha256:{'0' * 64}\n"


def test_every_environment_has_its_lock_and_every_lock_a_stack() -> None:
    wanted = {stack.environment for stack in STACKS} - {""}
    assert {path.stem for path in LOCKS} | {path.parent.name for path in PACKAGE_LOCKS} == wanted
    assert [path.stem for path in sorted(HERE.glob("*.in"))] == [path.stem for path in LOCKS]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_names_no_index_and_hashes_every_file(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert pins
    assert all(line.endswith("\\") for line in pins), "a pin has no hash"


@pytest.mark.parametrize("lock", PACKAGE_LOCKS, ids=lambda path: path.parent.name)
def test_a_package_lock_names_no_registry_and_hashes_every_package(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    named = {name: package for name, package in packages.items() if name}
    assert named
    assert all(package["integrity"].startswith("sha512-") for package in named.values())
    assert not [name for name, package in named.items() if "resolved" in package]


def test_a_registry_out_of_reach_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/nothing")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    lock = tmp_path / "absent.txt"
    lock.write_text(ABSENT)
    with pytest.raises(EnvironmentFailedError, match="registry in reach") as failure:
        install_python(tmp_path / "venv", lock)
    assert "absent-package" in str(failure.value)


def test_a_missing_tool_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    curl = next(stack for stack in STACKS if stack.name == "curl")
    with pytest.raises(EnvironmentFailedError, match="sh is not on the path"):
        prepare(curl)


def test_an_empty_lock_makes_an_environment_once(tmp_path: Path) -> None:
    lock = tmp_path / "empty.txt"
    lock.write_text("")
    python = install_python(tmp_path / "venv", lock)
    assert python.exists()
    mark = tmp_path / "venv" / "mark"
    mark.touch()
    assert install_python(tmp_path / "venv", lock) == python
    assert mark.exists(), "it was made again though nothing changed"
    lock.write_text("# changed\n")
    install_python(tmp_path / "venv", lock)
    assert not mark.exists()


def test_an_environment_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "venv"
    with (
        alone(place),
        place.with_name(".venv.lock").open("w") as second,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
