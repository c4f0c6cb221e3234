"""The proxy role without a control process: it prepares its own snapshot, and starts light."""

import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from config.settings import load_settings
from roles.proxy_process import is_snapshot_fresh
from tests.gateway import ROOT, Gateway, clean_environment, is_alive, run_verb, wait_until

CONFIG = """
upstreams: {mock: {kind: mock}}
default_upstream: mock
"""


async def list_models(gateway: Gateway) -> int:
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{gateway.base_url}/models", headers=headers) as reply,
    ):
        return reply.status


@pytest.mark.e2e
async def test_runs_alone_and_prepares_the_snapshot_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, config=CONFIG, verb="proxy") as first:
        assert "snapshot 1 is up to date" in first.output
        assert f"API key of demo/demo: {first.api_key}" in first.output
        assert await list_models(first) == 200
        assert await first.stop() == 0
        assert first.discovery == {}
    async with Gateway(tmp_path, config=CONFIG, verb="proxy") as second:
        # The file was written again, with the same content: the snapshot keeps its number.
        assert "snapshot 1 is up to date" in second.output
        assert await list_models(second) == 200
        assert await second.stop() == 0
        await second.start()
        assert "snapshot" not in second.output.replace("serving from snapshot", "")


@pytest.mark.e2e
async def test_several_proxies_share_a_port_and_are_kept_running(tmp_path: Path) -> None:
    async with Gateway(tmp_path, workers=2, verb="proxy") as gateway:
        [processes] = (gateway.home / "run").glob("proxies-*.json")
        pids = {name: int(pid) for name, pid in _read_json(processes).items()}
        assert set(pids) == {"supervisor", "proxy-0", "proxy-1"}
        assert await list_models(gateway) == 200
        os.kill(pids["proxy-0"], 9)
        await wait_until(
            lambda: _read_json(processes).get("proxy-0", 0) not in {0, pids["proxy-0"]}
        )
        assert [await list_models(gateway) for _ in range(4)] == [200] * 4
        assert await gateway.stop() == 0
        assert not any(map(is_alive, pids.values()))


def _read_json(path: Path) -> dict[str, int]:
    import orjson

    content: dict[str, int] = orjson.loads(path.read_bytes())
    return content


@pytest.mark.e2e
async def test_a_bad_file_is_refused_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text("upstreams:\n  mock: {kynd: mock}\n")
    environ = clean_environment(tmp_path / ".apex", {"APEX_CONFIG": str(config)})
    code, _, err = await run_verb("proxy", environ=environ)
    assert code == 2
    assert "apex.yaml:2" in err
    assert "kind" in err


def test_a_snapshot_is_fresh_until_the_file_is_newer(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text("")
    without = load_settings({"APEX_HOME": str(tmp_path / "home")})
    settings = load_settings({"APEX_HOME": str(tmp_path / "home"), "APEX_CONFIG": str(config)})
    assert not is_snapshot_fresh(without)
    without.home.mkdir()
    snapshot = without.home / "snapshot.sealed"
    snapshot.touch()
    assert is_snapshot_fresh(without)
    os.utime(config, (1000, 1000))
    assert is_snapshot_fresh(settings)
    os.utime(snapshot, (999, 999))
    assert not is_snapshot_fresh(settings)


def test_the_proxy_imports_no_engine() -> None:
    """The import budget: what a proxy never needs must not cost its start."""
    code = "import sys, roles.proxy_process; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    heavy = {"sqlalchemy", "alembic", "chdb", "clickhouse_connect", "litellm", "numpy", "pandas"}
    heavy |= {"redis", "storage.kv"}  # imported where APEX_KV_URL names a server
    assert not loaded & heavy
