"""Who owns APEX_HOME, and where its roles can be reached: the lock and the discovery files.

The control process holds the lock; every role announces its port; CLI verbs read both.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from config.errors import ConfigError
from config.files import write_atomically
from config.process_identity import ProcessIdentity, identify_own

logger = logging.getLogger(__name__)

LOCK_FILE = "apex.lock"
SHIPPER_LOCK_FILE = "shipper.lock"  # of who ships this home's segments, for as long as it does


class HomeLock:
    """Exclusive ownership of a home directory; the kernel lets go of it when the process dies.

    `file` names another lock than that of the whole home, for one duty in it.
    """

    def __init__(self, home: Path, file: str = LOCK_FILE) -> None:
        self._path = home / file
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, making the home when missing; ConfigError names the pid that holds it."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _read_pid(descriptor)
            os.close(descriptor)
            raise ConfigError(
                f"{self._path.parent} is in use by another gateway (pid {owner or 'unknown'})",
                "stop that process, or give this one a directory of its own with APEX_HOME",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, since removing it would let two owners in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the home directory {self._path.parent} cannot be used: {error.strerror}",
                "set APEX_HOME to a directory this user can write",
            ) from error


def find_lock_owner(home: Path) -> int | None:
    """The pid of the process that holds the home now, 0 when it cannot be read, None when free."""
    try:
        descriptor = os.open(home / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor) or 0
    finally:
        os.close(descriptor)
    return None


def write_discovery(directory: Path, name: str, content: Mapping[str, Any]) -> bool:
    """Announce a role as {directory}/{name}.json, whole or not at all. OSError.

    False, and nothing is written, where another living process has announced that role.
    """
    other = _find_other(directory, name)
    if other is not None:
        logger.warning(
            "not announced: %s is of process %s, which runs", directory / f"{name}.json", other
        )
        return False
    own = identify_own()
    identity = {"pid": own.pid, "boot_id": own.boot_id, "started_ticks": own.started_ticks}
    directory.mkdir(parents=True, exist_ok=True)
    data = orjson.dumps({**identity, **content}) + b"\n"
    write_atomically(directory / f"{name}.json", data)
    return True


def remove_discovery(directory: Path, name: str) -> None:
    """Withdraw an announcement, or what a dead process left; another living one's stays."""
    if _find_other(directory, name) is not None:
        return
    with contextlib.suppress(FileNotFoundError):
        (directory / f"{name}.json").unlink()


def read_discovery(directory: Path) -> dict[str, dict[str, Any]]:
    """What every role announced, by name; a file that is no JSON object is left out and logged."""
    announced: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            content = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            logger.warning("discovery file %s is left out: %s", path, error)
            continue
        if isinstance(content, dict):
            announced[path.stem] = content
        else:
            logger.warning("discovery file %s is left out: not a JSON object", path)
    return announced


def _find_other(directory: Path, name: str) -> int | None:
    """The pid of the living process, other than this one, that a discovery file tells of."""
    own = identify_own()
    try:
        content = orjson.loads((directory / f"{name}.json").read_bytes())
        pid = int(content["pid"])
        boot_id = str(content.get("boot_id", own.boot_id))
        ticks = int(content.get("started_ticks", own.started_ticks if pid == own.pid else 0))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    recorded = ProcessIdentity(pid, boot_id, ticks)
    return pid if recorded != own and recorded.is_alive() else None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
