"""Revoked keys on disk: sealed, added to, and forgotten after a while."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.revocations import KEPT_S, add_revocation, read_revocations

RING = KeyRing(b"m" * 32)


def test_what_is_revoked_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "home" / "revocations.sealed"
    assert read_revocations(path, RING) == {}
    add_revocation(path, RING, "aaaaaaaa", 1000.0)
    add_revocation(path, RING, "bbbbbbbb", 2000.0)
    assert read_revocations(path, RING) == {"aaaaaaaa": 1000.0, "bbbbbbbb": 2000.0}
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"aaaaaaaa" not in path.read_bytes()
    add_revocation(path, RING, "cccccccc", 1500.0 + KEPT_S)
    assert list(read_revocations(path, RING)) == ["bbbbbbbb", "cccccccc"]


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "revocations.sealed"
    add_revocation(path, KeyRing(b"o" * 32), "aaaaaaaa", 1000.0)
    with pytest.raises(ConfigError):
        read_revocations(path, RING)
