"""The append-only log of usage events: a process writes its own segments, one file at a time.

Used by ledger.sink. A record is in the kernel's hands when `append` returns, so kill -9 loses
nothing; a thread calls fdatasync every `sync_interval_s`, which bounds what a power cut can take.
"""

import fcntl
import logging
import os
import threading
from collections import deque
from pathlib import Path

from ledger.segment_format import encode_frame
from ledger.segment_reader import LOCK_NAME, SEGMENT_SUFFIX

_log = logging.getLogger(__name__)
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_NO_FILE = -1


class LogWriteError(Exception):
    """A record could not be written, not even to a fresh segment: the caller must refuse."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.hint = "free space on the disk that holds APEX_HOME/segments and check its health"


class SegmentWriter:
    """Appends framed records to {directory}/{writer_id}/NNNNNNNN.seg. For one thread.

    A failed or short write moves to a new file once and writes the record again there: the torn
    copy is an ordinary torn tail. `failures` counts writes and syncs that went wrong.
    """

    def __init__(
        self,
        directory: Path,
        writer_id: str,
        *,
        max_bytes: int = 16 * 1024 * 1024,
        sync_interval_s: float = 0.1,
    ) -> None:
        self.failures = 0
        self.written_bytes = 0
        self._path = directory / writer_id
        self._max_bytes = max_bytes
        self._sync_interval_s = sync_interval_s
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = _hold_lock(self._path)
        self._number = max((int(path.stem) for path in self._path.glob("*.seg")), default=0)
        self._fd = _NO_FILE
        self._size = 0
        self._retired: deque[int] = deque()  # only the sync thread closes: no descriptor is reused
        self._is_dirty = False
        self._is_rotation_due = False
        self._is_closing = threading.Event()
        self._wake = threading.Event()
        self._rotate()
        self._thread = threading.Thread(target=self._sync_forever, name="segment-sync", daemon=True)
        self._thread.start()

    def append(self, payload: bytes) -> None:
        """Write one record. Raises LogWriteError; ValueError for an empty or 16 MiB payload."""
        self._write(encode_frame(payload))

    def append_many(self, payloads: list[bytes]) -> None:
        """Write several records with one system call. Errors as in `append`."""
        self._write(b"".join(map(encode_frame, payloads)))

    def close(self) -> None:
        """Sync and close; the segment counts as sealed from here on. Harmless when repeated."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        self._wake.set()
        self._thread.join()
        if self._fd != _NO_FILE:
            self._retired.append(self._fd)
            self._fd = _NO_FILE
        try:
            self._sync()
        finally:
            os.close(self._lock_fd)

    def _write(self, data: bytes) -> None:
        if self._size >= self._max_bytes or self._is_rotation_due:
            self._rotate_if_possible()
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._write_elsewhere(data, str(error))
            return
        if written != len(data):
            self._cut_torn_record()
            self._write_elsewhere(data, f"only {written} of {len(data)} bytes were taken")
            return
        self._size += written
        self.written_bytes += written
        # After the write: the thread clears the flag before it syncs, so no write is left behind.
        if not self._is_dirty:
            self._is_dirty = True
            self._wake.set()

    def _cut_torn_record(self) -> None:
        """Take a torn record off the end: a later one behind it could never be read."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            self._note_failure("a torn record stays: the file is closed", str(error))
            self._retired.append(self._fd)
            self._fd = _NO_FILE

    def _write_elsewhere(self, data: bytes, reason: str) -> None:
        """The current file is not to be trusted any more: write the records to the next one."""
        self._note_failure("a write failed", reason)
        if self._is_closing.is_set():
            message = "the usage log is closed"
            raise LogWriteError(message)
        try:
            self._rotate()
            written = os.write(self._fd, data)
        except OSError as error:
            self._discard_current()
            message = f"the usage log cannot be written: {error}"
            raise LogWriteError(message) from error
        if written != len(data):
            self._discard_current()
            message = f"the usage log cannot be written: {reason}"
            raise LogWriteError(message)
        self._size = written
        self._is_dirty = True
        self._wake.set()

    def _rotate(self) -> None:
        path = self._path / f"{self._number + 1:08d}{SEGMENT_SUFFIX}"
        descriptor = os.open(path, _OPEN_FLAGS, 0o600)
        if self._fd != _NO_FILE:
            self._retired.append(self._fd)
        self._number += 1
        self._fd = descriptor
        self._size = 0
        self._is_rotation_due = False

    def _rotate_if_possible(self) -> None:
        try:
            self._rotate()
        except OSError as error:  # the old file still takes records: a long segment beats a refusal
            self._note_failure("no new segment could be opened", str(error))

    def _discard_current(self) -> None:
        """Drop a file that never took a whole record, so that a full disk leaves no litter."""
        if self._fd == _NO_FILE or self._size > 0:
            return
        self._retired.append(self._fd)
        self._fd = _NO_FILE
        (self._path / f"{self._number:08d}{SEGMENT_SUFFIX}").unlink(missing_ok=True)

    def _sync_forever(self) -> None:
        while not self._is_closing.is_set():
            self._wake.wait()
            self._is_closing.wait(self._sync_interval_s)
            try:
                self._sync()
            except OSError as error:  # out of descriptors, say: the thread must outlive it
                self._note_failure("a sync failed", str(error))

    def _sync(self) -> None:
        self._wake.clear()
        self._is_dirty = False
        while self._retired:
            descriptor = self._retired.popleft()
            self._sync_file(descriptor)
            os.close(descriptor)
        if self._fd != _NO_FILE and not self._sync_file(self._fd):
            # After a failed sync the kernel may have dropped the pages and would report success
            # the next time: that file is never synced again, the next record opens a new one.
            self._is_rotation_due = True
        self._sync_directory()

    def _sync_file(self, descriptor: int) -> bool:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._note_failure("a sync failed", str(error))
            return False
        return True

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sync_file(descriptor)
        os.close(descriptor)

    def _note_failure(self, what: str, reason: str) -> None:
        self.failures += 1
        _log.error("usage log %s: %s (%s)", self._path.name, what, reason)


def _hold_lock(path: Path) -> int:
    descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"another process writes the usage log of {path.name}"
        raise LogWriteError(message) from error
    return descriptor
