"""Keys derived from one root, and what is sealed under them (trust.md B6)."""

import dataclasses
import os
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.secrets import KeyRing, load_key_ring, sealed_under
from config.settings import Settings, load_settings

ROOT = b"r" * 32


def settings_at(home: Path, **environ: str) -> Settings:
    return load_settings({"APEX_HOME": str(home), **environ})


def test_every_purpose_and_subject_has_its_own_key() -> None:
    ring = KeyRing(ROOT)
    keys = [
        ring.pepper(),
        ring.cache_key("a"),
        ring.cache_key("b"),
        ring.subject_key("a"),
        ring.arm_salt("a"),
        KeyRing(ROOT, "k2").pepper(),
        KeyRing(b"x" * 32).pepper(),
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_keys_stay_the_same_over_time() -> None:
    """A changed derivation would orphan every generated key: this value must never move."""
    assert KeyRing(ROOT).pepper() == KeyRing(ROOT).pepper()
    assert KeyRing(ROOT).pepper().hex() == (
        "6f9be74b6c568c7aaf6fe6910552b814480519264856ce4ff224dc1d74c7340c"
    )


def test_sealed_opens_again() -> None:
    ring = KeyRing(ROOT)
    sealed = ring.seal("snapshot", b"plain")
    assert b"plain" not in sealed
    assert sealed != ring.seal("snapshot", b"plain")
    assert KeyRing(ROOT).unseal("snapshot", sealed) == b"plain"
    assert ring.unseal("snapshot", ring.seal("snapshot", b"")) == b""


def test_sealed_opens_only_under_the_same_root_id_and_purpose() -> None:
    sealed = KeyRing(ROOT).seal("snapshot", b"plain")
    for ring, purpose in (
        (KeyRing(b"x" * 32), "snapshot"),
        (KeyRing(ROOT, "k2"), "snapshot"),
        (KeyRing(ROOT), "other"),
    ):
        with pytest.raises(ConfigError) as caught:
            ring.unseal(purpose, sealed)
        assert "APEX_MASTER_KEY" in caught.value.hint


def test_every_flipped_byte_and_every_cut_is_noticed() -> None:
    ring = KeyRing(ROOT)
    sealed = ring.seal("snapshot", b"plain")
    for index in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[index] ^= 1
        for damaged in (bytes(flipped), sealed[:index]):
            with pytest.raises(ConfigError, match="cannot be opened"):
                ring.unseal("snapshot", damaged)


def test_what_an_older_master_key_sealed_still_opens() -> None:
    ring = KeyRing(b"n" * 32, "k2", {"k1": ROOT})
    old, new = KeyRing(ROOT).seal("snapshot", b"plain"), ring.seal("snapshot", b"plain")
    assert (sealed_under(old), sealed_under(new), sealed_under(b"{}")) == ("k1", "k2", "")
    assert ring.unseal("snapshot", old) == ring.unseal("snapshot", new) == b"plain"
    with pytest.raises(ConfigError):
        KeyRing(ROOT).unseal("snapshot", new)


def test_peppers_are_known_by_the_id_of_their_master_key() -> None:
    ring = KeyRing(b"n" * 32, "k2", {"k1": ROOT})
    assert ring.pepper_of("k1") == KeyRing(ROOT).pepper()
    assert ring.pepper_of("k2") == ring.pepper() != KeyRing(ROOT).pepper()
    assert [ring.knows_pepper(each) for each in ("k1", "k2", "k3")] == [True, True, False]
    with pytest.raises(ConfigError, match="'k3'"):
        ring.pepper_of("k3")


def stays(ring: KeyRing, tenant: str = "acme", epoch: str = "2026-11") -> list[bytes]:
    """What a rotation must not change."""
    return [ring.subject_key(tenant), ring.cache_key(tenant), ring.arm_salt(epoch),
            ring.arm_salt(f"canary/{epoch}")]  # fmt: skip


def test_what_figures_are_joined_by_stays_through_two_rotations() -> None:
    first = KeyRing(ROOT)
    before = stays(first)
    both = KeyRing(b"n" * 32, "k2", {"k1": ROOT})
    assert stays(both) == before, "as soon as the new key is set"
    kept = both.keep({"k1", "k2"}, ["acme"], "2026-11")
    assert stays(both.with_kept(kept)) == before, "after the rotation"
    alone = KeyRing(b"n" * 32, "k2").with_kept(kept)
    assert stays(alone) == before, "without the old key"
    assert alone.pepper_of("k1") == first.pepper()
    late = stays(alone, "initech", "2026-12")
    assert stays(both.with_kept(kept), "initech", "2026-12") == late, "what came after is k2's"
    third = KeyRing(b"t" * 32, "k3", {"k2": b"n" * 32}).with_kept(kept)
    assert (stays(third), stays(third, "initech", "2026-12")) == (before, late)
    again = third.keep({"k1", "k2", "k3"}, ["acme", "initech"], "2026-12")
    last = KeyRing(b"t" * 32, "k3").with_kept(again)
    assert stays(last)[:2] == before[:2]
    assert stays(last, "initech", "2026-12") == late
    assert last.pepper_of("k1") == first.pepper()
    assert last.key_ids == ("k3",)


def test_what_is_kept_is_not_shown() -> None:
    kept = KeyRing(ROOT).keep({"k1"}, ["acme"], "2026-11")
    assert all(
        key.hex() not in repr(kept) and str(key) not in repr(kept) for key in kept.keys.values()
    )


def test_a_list_of_master_keys_is_a_ring(tmp_path: Path) -> None:
    keys = f"k2:{'n' * 32},k1:{'m' * 32}"
    ring = load_key_ring(settings_at(tmp_path, APEX_MASTER_KEYS=keys))
    assert ring.key_ids == ("k2", "k1")
    assert ring.pepper_of("k1") == KeyRing(b"m" * 32).pepper()
    (tmp_path / "master.key").write_text(f"{keys}\n")
    (tmp_path / "master.key").chmod(0o600)
    assert load_key_ring(settings_at(tmp_path)).pepper() == ring.pepper(), "the file may be one too"


def test_repr_shows_no_key() -> None:
    assert repr(KeyRing(ROOT)) == "KeyRing(key_id='k1')"


def test_master_key_of_the_environment_wins(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home", APEX_MASTER_KEY="m" * 32)
    assert load_key_ring(settings).pepper() == KeyRing(b"m" * 32).pepper()
    assert not (tmp_path / "home").exists()


def test_development_makes_a_key_once(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home")
    first = load_key_ring(settings).pepper()
    assert (tmp_path / "home" / "master.key").stat().st_mode & 0o777 == 0o600
    assert load_key_ring(settings).pepper() == first
    assert load_key_ring(settings_at(tmp_path / "other")).pepper() != first


def test_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    load_key_ring(settings)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        load_key_ring(settings)
    assert caught.value.hint == f"run: chmod 600 {tmp_path / 'master.key'}"


def test_short_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="cut short"):
        load_key_ring(settings_at(tmp_path))


def test_unusable_home_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as caught:
        load_key_ring(settings_at(tmp_path / "file"))
    assert "APEX_HOME" in caught.value.hint


def test_no_key_is_made_outside_development(tmp_path: Path) -> None:
    settings = dataclasses.replace(settings_at(tmp_path), environment="production")
    with pytest.raises(ConfigError, match="APEX_MASTER_KEY is not set"):
        load_key_ring(settings)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names are enough
