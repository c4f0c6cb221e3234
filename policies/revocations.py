"""Keys that were revoked lately, in a small sealed file beside the snapshot.

Written by the control process before it answers, read by every proxy: what is revoked stays so
when a proxy starts again from a snapshot that was built before. No SQL in here.
"""

from collections.abc import Mapping
from pathlib import Path

import orjson

from config.errors import ConfigError
from config.files import write_atomically
from config.secrets import KeyRing, sealed_under

FILE_NAME = "revocations.sealed"
SEAL_PURPOSE = "revocations"
MOST_KEPT = 10_000
KEPT_S = 30 * 86_400  # no proxy starts from a snapshot as old as that


def read_revocations(path: Path, key_ring: KeyRing) -> dict[str, float]:
    """When each key was revoked, Unix seconds, by its id; empty without a file. ConfigError."""
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        hint = "make APEX_HOME readable for this user"
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint) from error
    document = orjson.loads(key_ring.unseal(SEAL_PURPOSE, sealed))
    return {str(key_id): float(moment) for key_id, moment in document.items()}


def add_revocation(path: Path, key_ring: KeyRing, key_id: str, now: float) -> None:
    """Note a key, durably; `now` in Unix seconds. Those of long ago are forgotten. ConfigError."""
    held = {**read_revocations(path, key_ring), key_id: now}
    kept = {name: at for name, at in held.items() if at > now - KEPT_S}
    newest = dict(sorted(kept.items(), key=lambda each: each[1])[-MOST_KEPT:])
    _write(path, key_ring, newest)


def reseal_revocations(path: Path, key_ring: KeyRing) -> None:
    """Seal the file under the current master key, where an older one sealed it. ConfigError."""
    if path.exists() and sealed_under(path.read_bytes()) != key_ring.key_id:
        _write(path, key_ring, read_revocations(path, key_ring))


def _write(path: Path, key_ring: KeyRing, moments: Mapping[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = key_ring.seal(SEAL_PURPOSE, orjson.dumps(moments, option=orjson.OPT_SORT_KEYS))
    write_atomically(path, sealed, mode=0o600, is_durable=True)
