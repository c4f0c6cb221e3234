"""The verb rotate-master-key where no gateway runs: the store, and then the snapshot."""

import argparse
import asyncio
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.secrets import load_key_ring
from config.settings import Settings, load_settings
from policies.snapshot import read_snapshot_file
from roles import places, rotating
from roles.prepare import build_once

OLD, NEW = "o" * 32, "n" * 32
CONFIG = """
upstreams: {local: {kind: openai, base_url: "http://127.0.0.1:9/v1", allow_private: true}}
default_upstream: local
models: {house: {upstreams: [local]}}
tenants: {acme: {keys: [{name: generated}]}}
"""


def settings_with(tmp_path: Path, keys: str) -> Settings:
    config = tmp_path / "apex.yaml"
    config.write_text(CONFIG)
    home = str(tmp_path / "home")
    return load_settings({"APEX_HOME": home, "APEX_CONFIG": str(config), "APEX_MASTER_KEYS": keys})


def rotate(settings: Settings) -> int:
    return rotating.run(settings, argparse.Namespace())


def test_the_old_key_opens_everything_until_then_and_nothing_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = settings_with(tmp_path, f"k1:{OLD}")
    built = asyncio.run(build_once(old))
    both = settings_with(tmp_path, f"k2:{NEW},k1:{OLD}")
    assert list(rotating.stale_files(both, load_key_ring(both))) == ["snapshot.sealed"]
    assert rotate(both) == 0
    assert "nothing needs another master key than k2" in capsys.readouterr().out
    new = settings_with(tmp_path, f"k2:{NEW}")
    ring = load_key_ring(new)
    snapshot = read_snapshot_file(places.snapshot_path(new), ring)
    assert snapshot.keys_by_id == built.snapshot.keys_by_id, "keys work as before"
    assert rotate(new) == 0
    assert "moved" not in capsys.readouterr().out
    again = asyncio.run(build_once(new))
    assert again.new_keys == []
    assert ring.with_kept(again.snapshot.kept_keys).pepper_of("k1") == load_key_ring(old).pepper()
    with pytest.raises(ConfigError, match="master key k1"):
        rotate(old)


def test_files_that_wait_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = settings_with(tmp_path, f"k2:{NEW},k1:{OLD}")
    asyncio.run(build_once(both))
    waiting = places.unmetered_directory(both) / "proxy-0"
    waiting.mkdir()
    old = load_key_ring(settings_with(tmp_path, f"k1:{OLD}"))
    (waiting / "record").write_bytes(old.seal("unmetered", b"a prompt"))
    assert rotate(both) == 1
    assert "unmetered/proxy-0/record" in capsys.readouterr().out
