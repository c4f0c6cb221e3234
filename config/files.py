"""Whole-file writes that a crash or a concurrent reader never sees half done.

Used by the metrics files, discovery, the master key and the sealed snapshot.
"""

import os
from pathlib import Path


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o644, is_durable: bool = False
) -> None:
    """Replace `path` with `data` in one step; `is_durable` also forces it to the disk. OSError."""
    temporary = _write_temporary(path, data, mode, is_durable)
    temporary.replace(path)
    if is_durable:
        _sync_directory(path.parent)


def create_exclusively(path: Path, data: bytes, *, mode: int) -> bool:
    """Create `path` with `data`, durably, all or nothing; False when it is there already."""
    temporary = _write_temporary(path, data, mode, is_durable=True)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_directory(path.parent)
    return True


def _write_temporary(path: Path, data: bytes, mode: int, is_durable: bool) -> Path:
    # The leading dot and the ending keep it out of every listing by suffix.
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    # Left over from a crash it could have another mode than the one asked for.
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
