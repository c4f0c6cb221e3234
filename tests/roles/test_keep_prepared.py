"""A lone proxy's snapshot is built again, unless somebody vouches for it or it cannot be."""

import asyncio
import os
from pathlib import Path

from config.clock import Clock
from config.secrets import load_key_ring
from config.settings import Settings, load_settings
from config.tasks import TaskOwner
from policies.snapshot import read_snapshot_file
from roles import places
from roles.keep_prepared import is_vouched_for, keep_prepared, prepare_once
from tests.gateway import clean_environment, wait_until

CONFIG = "upstreams: {mock: {kind: mock}}\ndefault_upstream: mock\n"


def settings_of(directory: Path) -> Settings:
    (directory / "apex.yaml").write_text(CONFIG)
    changes = {"APEX_CONFIG": str(directory / "apex.yaml")}
    return load_settings(clean_environment(directory / "home", changes))


def drain_of(settings: Settings) -> float:
    path = places.snapshot_path(settings)
    return read_snapshot_file(path, load_key_ring(settings)).limits.drain_s


async def test_it_follows_the_file_and_survives_a_bad_one(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert await prepare_once(settings)
    (tmp_path / "apex.yaml").write_text("tenants: [")
    assert not await prepare_once(settings)
    assert drain_of(settings) == 30
    (tmp_path / "apex.yaml").write_text(CONFIG + "limits: {drain_s: 7}\n")
    moment = Clock().now() - 60  # as if it had been confirmed a minute ago
    os.utime(places.confirmed_path(settings), (moment, moment))
    tasks = TaskOwner()
    tasks.start(keep_prepared(settings, interval_s=0.01), "keep prepared")
    await wait_until(lambda: drain_of(settings) == 7, 30.0)
    await tasks.stop()


async def test_what_a_control_process_vouches_for_is_left_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    places.make_directories(settings)
    confirmed = places.confirmed_path(settings)
    assert not is_vouched_for(settings)
    confirmed.touch()
    assert is_vouched_for(settings)
    tasks = TaskOwner()
    tasks.start(keep_prepared(settings, interval_s=0.001), "keep prepared")
    for _ in range(50):
        await asyncio.sleep(0.001)
    await tasks.stop()
    assert not places.snapshot_path(settings).exists()
    moment = Clock().now() - 60
    os.utime(confirmed, (moment, moment))
    assert not is_vouched_for(settings)
