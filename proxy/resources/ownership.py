"""Who owns which of a provider's objects, where several tenants share one provider account.

Asked by the relay and by upstream.py. The map is an append-only file that all proxy processes of
a home share: a claim is in it before the caller learns the object's id, so any process can answer
the next call. An id nobody has claimed belongs to nobody. Bounded: past `most_entries` the oldest
are forgotten, which denies access and never grants it.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from config.clock import Clock
from proxy.errors import GatewayError

MOST_ENTRIES = 500_000
COMPACTED_FROM_BYTES = 64 * 1024 * 1024
READ_BYTES = 1024 * 1024
LONGEST_ID_CHARACTERS = 256


class Owner(NamedTuple):
    """Whose an object is, at which upstream it lives, and the model it was made with."""

    tenant: str
    upstream: str
    model: str = ""


class OwnershipMap:
    """The map as one process sees it. Single-threaded; every call is a few microseconds."""

    def __init__(self, path: Path, clock: Clock, *, most_entries: int = MOST_ENTRIES) -> None:
        self._path = path
        self._clock = clock
        self._most = most_entries
        self._owners: dict[str, Owner] = {}
        self._shared: dict[Owner, Owner] = {}  # one tuple for all objects of an owner
        self._open_ids: set[str] = set()  # objects whose cost is not known yet
        self._rest = b""
        self._offset = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = self._open()
        self._read_news()
        if self._offset > COMPACTED_FROM_BYTES:
            self._compact()

    def claim(self, ids: Iterable[str], owner: Owner, *, is_open: bool = False) -> None:
        """Record that objects are a tenant's; raises GatewayError 503 when that cannot be kept.

        `is_open`: what the first of them costs is told only when it is done (batches).
        """
        # What is somebody's stays theirs, whoever names it.
        fresh = [each for each in ids if each and self._owners.get(each) is None]
        at = int(self._clock.now())
        rows: list[dict[str, Any]] = [{"id": each, "at": at, **owner._asdict()} for each in fresh]
        if rows and is_open:
            rows[0]["open"] = True
        self._append(rows)

    def release(self, object_id: str) -> None:
        """Record that an object is gone."""
        self._append([{"id": object_id, "gone": True}])

    def settle(self, object_id: str) -> bool:
        """Record that an open object's cost is counted now; True for the one who may count it."""
        self._read_news()
        if object_id not in self._open_ids:
            return False
        return self._append([{"id": object_id, "settled": True}], wanted=object_id)

    def find(self, object_id: str) -> Owner | None:
        """Return whose an object is; what this process does not know yet is read from the file."""
        owner = self._owners.get(object_id)
        if owner is None and len(object_id) <= LONGEST_ID_CHARACTERS:
            self._read_news()
            owner = self._owners.get(object_id)
        return owner

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _append(self, rows: list[dict[str, Any]], wanted: str = "") -> bool:
        """Write rows; with `wanted` only if that object is still open, looked at under the lock."""
        if not rows:
            return False
        data = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        try:
            self._lock_current(fcntl.LOCK_EX if wanted else fcntl.LOCK_SH)
            try:
                if wanted:
                    self._read_news()
                    if wanted not in self._open_ids:
                        return False
                written = os.write(self._fd, data)
                if written != len(data):
                    os.write(self._fd, b"\n")  # a torn line must not swallow the next one
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            raise _unwritable() from error
        if written != len(data):
            raise _unwritable()
        self._read_news()
        return True

    def _lock_current(self, how: int) -> None:
        """Lock the file that the path names now; another process may have compacted it."""
        while True:
            fcntl.flock(self._fd, how)
            with suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == os.fstat(self._fd).st_ino:  # noqa: PTH116
                    return
            os.close(self._fd)
            self._fd = self._open()
            self._start_over()

    def _start_over(self) -> None:
        self._owners.clear()
        self._open_ids.clear()
        self._rest, self._offset = b"", 0

    def _read_news(self) -> None:
        """Take in what all processes have written since the last look."""
        while True:
            data = os.pread(self._fd, READ_BYTES, self._offset)
            if not data:
                return
            self._offset += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            row = orjson.loads(line)
            object_id = row["id"]
            if row.get("gone"):
                self._owners.pop(object_id, None)
                self._open_ids.discard(object_id)
            elif row.get("settled"):
                self._open_ids.discard(object_id)
            else:
                self._put(object_id, Owner(row["tenant"], row["upstream"], row.get("model", "")))
                if row.get("open"):
                    self._open_ids.add(object_id)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return  # torn by a crash: what was not kept is nobody's

    def _put(self, object_id: str, owner: Owner) -> None:
        self._owners[object_id] = self._shared.setdefault(owner, owner)
        if len(self._owners) > self._most:
            oldest = next(iter(self._owners))
            del self._owners[oldest]
            self._open_ids.discard(oldest)

    def _compact(self) -> None:
        """Write the map anew without what is gone; processes notice the new file by its number."""
        fresh = self._path.with_suffix(".new")
        at = int(self._clock.now())
        with suppress(OSError):
            self._lock_current(fcntl.LOCK_EX)
            self._read_news()
            with fresh.open("wb") as file:
                for object_id, owner in self._owners.items():
                    row: dict[str, Any] = {"id": object_id, "at": at, **owner._asdict()}
                    if object_id in self._open_ids:
                        row["open"] = True
                    file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                file.flush()
                os.fsync(file.fileno())
            fresh.chmod(0o600)
            fresh.replace(self._path)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._lock_current(fcntl.LOCK_SH)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._read_news()


def _unwritable() -> GatewayError:
    return GatewayError(
        503,
        "ownership_unwritable",
        "Whose the new object is could not be recorded, so it is not handed out.",
        "Free space on the disk that holds APEX_HOME.",
    )
