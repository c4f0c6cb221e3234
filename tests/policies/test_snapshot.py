"""The snapshot: a faithful round trip, a sealed file, and no way back to an older number."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given

from config.errors import ConfigError
from config.operator_model import EstimatesConfig
from config.secrets import KeyRing
from policies.snapshot import (
    SEAL_PURPOSE,
    Snapshot,
    dump_snapshot,
    load_snapshot,
    read_own_snapshot,
    read_snapshot_file,
    write_snapshot_file,
)
from policies.snapshot_signing import PIN_FILE, SnapshotSigner
from tests.policies.samples import KEY, SIGNER, UPSTREAM, make_snapshot, snapshots

RING = KeyRing(b"m" * 32)


@given(snapshots())
def test_a_dump_loads_as_the_same_snapshot(snapshot: Snapshot) -> None:
    dumped = dump_snapshot(snapshot)
    loaded = load_snapshot(dumped)
    assert loaded == snapshot
    assert dump_snapshot(loaded) == dumped


def test_keys_can_be_found_by_id_and_by_hmac() -> None:
    loaded = load_snapshot(dump_snapshot(make_snapshot()))
    assert loaded.keys_by_id["abcdefgh"] == KEY
    assert loaded.keys_by_hmac[b"h" * 32] is loaded.keys_by_id["abcdefgh"]


def test_secrets_stay_out_of_representations() -> None:
    shown = repr(make_snapshot())
    assert UPSTREAM.api_key not in shown
    assert repr(KEY.secret_hmac) not in shown


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"schema":1}',
        b'{"schema":1,"keys":[],"policies":{}}',
        b'{"schema":2}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError) as raised:
        load_snapshot(data)
    assert "start the control process" in raised.value.hint


@pytest.mark.parametrize("part", ["upstreams", "models", "keys", "tenants", "timeouts", "policies"])
def test_an_unreadable_part_is_refused_without_quoting_secrets(part: str) -> None:
    document = orjson.loads(dump_snapshot(make_snapshot()))
    document[part] = [{"sk-upstream-credential": 1}]
    with pytest.raises(ConfigError) as raised:
        load_snapshot(orjson.dumps(document))
    assert "sk-upstream" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_file_is_sealed_private_and_readable_with_the_same_key(tmp_path: Path) -> None:
    path, snapshot = tmp_path / "snapshot.sealed", make_snapshot()
    write_snapshot_file(path, snapshot, RING, SIGNER)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"sk-upstream-credential" not in path.read_bytes()
    assert read_snapshot_file(path, RING) == snapshot
    assert {each.name for each in tmp_path.iterdir()} == {path.name, PIN_FILE}


@pytest.mark.parametrize("place", [0, 5, 20, -1])
def test_a_tampered_file_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "snapshot.sealed"
    write_snapshot_file(path, make_snapshot(), RING, SIGNER)
    sealed = bytearray(path.read_bytes())
    sealed[place] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(ConfigError):
        read_snapshot_file(path, RING)
    with pytest.raises(ConfigError):
        write_snapshot_file(path, make_snapshot(number=2), RING, SIGNER)


def test_a_file_of_another_master_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.sealed"
    write_snapshot_file(path, make_snapshot(), RING, SIGNER)
    with pytest.raises(ConfigError) as raised:
        read_snapshot_file(path, KeyRing(b"o" * 32))
    assert str(path) in raised.value.message


def test_a_missing_file_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        read_snapshot_file(tmp_path / "snapshot.sealed", RING)
    assert "control process" in raised.value.hint


def test_an_older_number_never_replaces_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.sealed"
    write_snapshot_file(path, make_snapshot(number=7), RING, SIGNER)
    with pytest.raises(ConfigError) as raised:
        write_snapshot_file(path, make_snapshot(number=6), RING, SIGNER)
    assert "6 would replace newer 7" in raised.value.message
    assert read_snapshot_file(path, RING).number == 7
    for number in (7, 8):
        write_snapshot_file(path, make_snapshot(number=number, built_at=9.0), RING, SIGNER)
    assert read_snapshot_file(path, RING).number == 8


def test_what_is_said_of_estimates_is_kept_and_an_older_snapshot_says_nothing() -> None:
    off = make_snapshot(estimates=EstimatesConfig(enabled=False))
    assert not load_snapshot(dump_snapshot(off)).estimates.enabled
    document = orjson.loads(dump_snapshot(off))
    del document["estimates"]
    assert load_snapshot(orjson.dumps(document)).estimates.enabled


def test_a_snapshot_of_another_signer_is_refused(tmp_path: Path) -> None:
    """Who has the master key but not the signing key, as every proxy, can seal and not sign."""
    path = tmp_path / "snapshot.sealed"
    write_snapshot_file(path, make_snapshot(), RING, SIGNER)
    forged = RING.seal(SEAL_PURPOSE, SnapshotSigner.make().sign(dump_snapshot(make_snapshot())))
    path.write_bytes(forged)
    with pytest.raises(ConfigError) as raised:
        read_snapshot_file(path, RING)
    assert "not trusted" in raised.value.message
    path.write_bytes(RING.seal(SEAL_PURPOSE, dump_snapshot(make_snapshot())))
    with pytest.raises(ConfigError) as raised:
        read_snapshot_file(path, RING)
    assert "not signed" in raised.value.message
    held = read_own_snapshot(path, RING)
    assert held == make_snapshot(), "the control process takes its number from it, and signs anew"
    (tmp_path / PIN_FILE).unlink()
    with pytest.raises(ConfigError) as raised:
        read_snapshot_file(path, RING)
    assert "so nobody is trusted" in raised.value.message


def test_a_key_that_was_pinned_before_is_held_on_to(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.sealed"
    write_snapshot_file(path, make_snapshot(), RING, SIGNER)
    write_snapshot_file(path, make_snapshot(number=2), RING, SnapshotSigner.make())
    assert read_snapshot_file(path, RING).number == 2, "a control process may have a new key"
    with pytest.raises(ConfigError):
        read_snapshot_file(path, RING, SIGNER.public_key)
