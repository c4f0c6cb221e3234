"""The snapshot on disk follows apex.yaml, and gets a new number only for new content."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.clock import Clock
from config.errors import ConfigError
from config.secrets import load_key_ring
from config.settings import load_settings
from policies.snapshot import read_snapshot_file
from roles.snapshot_keeper import KeptSnapshot, SnapshotKeeper, needs_mock
from storage.migrations import migrate_sql
from storage.sql import open_sql

CONFIG = """
upstreams:
  mock: {kind: mock}
  local: {kind: openai, base_url: "http://127.0.0.1:9/v1", allow_private: true}
default_upstream: mock
tenants: {acme: {keys: [{name: app}]}}
"""


@asynccontextmanager
async def keeping(directory: Path, mock_url: str) -> AsyncIterator[SnapshotKeeper]:
    home = directory / "home"
    config = str(directory / "apex.yaml")
    settings = load_settings({"APEX_HOME": str(home), "APEX_CONFIG": config})
    await migrate_sql(settings.sql_url)
    engine = open_sql(settings.sql_url)
    try:
        yield SnapshotKeeper(settings, load_key_ring(settings), engine, Clock(), mock_url)
    finally:
        await engine.dispose()


async def refresh(keeper: SnapshotKeeper) -> KeptSnapshot:
    return await keeper.refresh(keeper.load_operator())


async def test_a_number_for_each_content_and_none_for_the_same(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text(CONFIG)
    async with keeping(tmp_path, "http://127.0.0.1:8082") as keeper:
        first = await refresh(keeper)
        assert (first.snapshot.number, first.is_new) == (1, True)
        assert [(tenant, name) for tenant, name, _ in first.new_keys] == [("acme", "app")]
        path = tmp_path / "home" / "snapshot.sealed"
        os.utime(path, (1000, 1000))
        again = await refresh(keeper)
        assert (again.snapshot.number, again.is_new, again.new_keys) == (1, False, [])
        assert path.stat().st_mtime > 1000  # a lone proxy takes it for fresh
        config.write_text(CONFIG + "limits: {drain_s: 7}\n")
        changed = await refresh(keeper)
        assert (changed.snapshot.number, changed.is_new) == (2, True)
        settings = load_settings({"APEX_HOME": str(tmp_path / "home")})
        held = read_snapshot_file(path, load_key_ring(settings))
        assert held.limits.drain_s == 7


async def test_mock_upstreams_are_pointed_at_the_running_mock(tmp_path: Path) -> None:
    (tmp_path / "apex.yaml").write_text(CONFIG)
    async with keeping(tmp_path, "http://127.0.0.1:8085") as keeper:
        kept = await refresh(keeper)
        assert kept.snapshot.upstreams["mock"].base_url == "http://127.0.0.1:8085/v1"
        assert kept.snapshot.upstreams["mock"].api_key
        assert kept.snapshot.upstreams["local"].base_url == "http://127.0.0.1:9/v1"
        assert needs_mock(keeper.load_operator())
    async with keeping(tmp_path, "http://127.0.0.1:8086") as keeper:
        assert (await refresh(keeper)).snapshot.number == 2


async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text(CONFIG)
    async with keeping(tmp_path, "http://127.0.0.1:8082") as keeper:
        await refresh(keeper)
        before = (tmp_path / "home" / "snapshot.sealed").read_bytes()
        for bad in ("tenants: [", "tenants: {acme: {keys: [{name: a}], policy: nope}}\n"):
            config.write_text(bad)
            with pytest.raises(ConfigError):
                await refresh(keeper)
        assert (tmp_path / "home" / "snapshot.sealed").read_bytes() == before
