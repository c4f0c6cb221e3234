"""`python main.py all` as real processes: start, banner, restarts, reload, stop."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from config.home import find_lock_owner
from tests.gateway import ROOT, Gateway, clean_environment, is_alive, run_verb, wait_until

pytestmark = pytest.mark.e2e

TENANTS = """
upstreams: {mock: {kind: mock}}
default_upstream: mock
tenants:
  acme: {keys: [{name: app}]}
"""


async def chat(gateway: Gateway, **headers: str) -> tuple[int, bytes]:
    """One chat completion: (status, body)."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
    given = {"Authorization": f"Bearer {gateway.api_key}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.base_url}/chat/completions", json=body, headers=given) as reply,
    ):
        return reply.status, await reply.read()


async def list_models(gateway: Gateway) -> list[str]:
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{gateway.base_url}/models", headers=headers) as reply,
    ):
        return [model["id"] for model in (await reply.json())["data"]]


async def test_a_second_start_keeps_the_key_and_the_state(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as first:
        key, banner = first.api_key, first.output
        assert f"API key   {key}" in banner
        assert f"base_url  {first.base_url}" in banner
        assert "THE BUILT-IN MOCK answers" in banner
        assert first.admin_token in banner
        assert "python main.py usage" in banner
        await check_printed_line(banner)
        assert await first.stop() == 0
        assert first.output.splitlines()[-1] == "stopped"
    assert find_lock_owner(first.home) is None
    assert first.discovery == {}
    assert first.pids == {}
    async with Gateway(tmp_path) as second:
        assert second.api_key == key
        assert f"API key   {key}" in second.output
        _, usage = await second.admin("/admin/v1/usage")
        assert usage["totals"]["requests"] == 1


async def check_printed_line(banner: str) -> None:
    """Paste the curl line of the banner into a shell."""
    [line] = [line for line in banner.splitlines() if line.startswith("curl ")]
    process = await asyncio.create_subprocess_shell(
        f"{line} --silent --fail", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["choices"][0]["message"]["role"] == "assistant"


async def test_progress_and_discovery_say_the_same_ports(tmp_path: Path) -> None:
    async with Gateway(tmp_path, workers=2) as gateway:
        lines = gateway.output.splitlines()
        assert [line[:5] for line in lines if line.startswith("[")] == [
            f"[{step}/4]" for step in range(1, 5)
        ]
        assert "2 proxy processes up" in gateway.output
        assert "each proxy has a cache of its own and 1/2 of the limits" in gateway.output
        assert set(gateway.discovery) == {"proxy", "admin", "mock"}
        for place in gateway.discovery.values():
            assert place["url"] == f"http://{place['host']}:{place['port']}"
            assert place["pid"] == gateway.pids["supervisor"]
        assert set(gateway.pids) == {"supervisor", "control", "mock", "proxy-0", "proxy-1"}


async def test_the_children_die_with_the_supervisor(tmp_path: Path) -> None:
    """Reliability, row 19: a killed supervisor leaves nothing that holds the stores."""
    async with Gateway(tmp_path) as gateway:
        pids = gateway.pids
        gateway.kill("supervisor")
        await wait_until(lambda: not any(map(is_alive, pids.values())), 5, "all are gone")
    async with Gateway(tmp_path) as again:
        assert (await chat(again))[0] == 200


async def test_a_killed_child_is_started_again_and_nobody_is_refused(tmp_path: Path) -> None:
    """Reliability, row 21: the others serve on, connections wait in the backlog."""
    async with Gateway(tmp_path) as gateway:
        for role in ("proxy-0", "mock", "control"):
            pid = await gateway.kill_and_wait_for_restart(role)
            assert is_alive(pid)
            assert (await chat(gateway))[0] == 200
        await gateway.wait_until_ready()
        gateway.kill("control", signal.SIGSTOP)
        assert (await chat(gateway))[0] == 200
        gateway.kill("control", signal.SIGCONT)
        await gateway.wait_until_ready()
        _, usage = await gateway.admin("/admin/v1/usage")
        assert usage["totals"]["requests"] == 4
        _, report = await gateway.admin("/admin/v1/conservation")
        assert report["is_exact"], report["rows"]


async def test_a_stop_lets_open_requests_end(tmp_path: Path) -> None:
    """Reliability, row 18."""
    async with Gateway(tmp_path) as gateway, asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(chat(gateway, **{"x-mock-latency-ms": "1500"}))
        await wait_until(lambda: _has_start(gateway))
        assert await gateway.stop() == 0
        status, body = await slow
        assert status == 200
        assert b"choices" in body
    code, out, _ = await gateway.verb("usage", "--json")
    assert code == 0
    assert json.loads(out)["totals"]["requests"] == 1


async def test_a_second_signal_ends_everything_now(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(_chat_or_fail(gateway))
        await wait_until(lambda: _has_start(gateway))
        pids = gateway.pids
        gateway.kill("supervisor", signal.SIGTERM)
        await wait_until(lambda: "stopping" in gateway.output)
        os.kill(pids["supervisor"], signal.SIGINT)
        async with asyncio.timeout(10):
            assert await gateway.stop() == 0
            await slow
        assert not any(is_alive(pid) for pid in pids.values())


async def _chat_or_fail(gateway: Gateway) -> int:
    try:
        return (await chat(gateway, **{"x-mock-latency-ms": "60000"}))[0]
    except aiohttp.ClientError:
        return 0


TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for fd in (0, 1, 2):
    os.dup2(terminal, fd)
os.execv(sys.executable, [sys.executable, "main.py", "all"])
"""


async def test_ctrl_c_and_a_closed_terminal_end_everything(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    for is_closed in (False, True):
        master, slave = os.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", TERMINAL, os.ttyname(slave), env=gateway.environ, cwd=ROOT
        )
        # Keep reading, or a full terminal buffer would stop the gateway's output.
        loop = asyncio.get_running_loop()
        loop.add_reader(master, os.read, master, 65_536)
        await wait_until(lambda: "admin" in gateway.discovery, 60)
        pids = gateway.pids
        loop.remove_reader(master)
        os.close(slave)
        if is_closed:
            os.close(master)
        else:
            os.write(master, b"\x03")
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        assert find_lock_owner(gateway.home) is None
        assert not any(map(is_alive, pids.values()))
        if not is_closed:
            os.close(master)


async def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "main.py", "all", env=gateway.environ, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    await wait_until(lambda: "control" in gateway.pids)
    pids = gateway.pids
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        await process.stdout.read()
        assert await process.wait() == 0
    assert not any(map(is_alive, pids.values()))


def _has_start(gateway: Gateway) -> bool:
    return any(path.stat().st_size for path in (gateway.home / "segments").glob("*/*.seg"))


async def test_sighup_takes_a_new_file_and_keeps_the_old_one_for_a_bad_one(tmp_path: Path) -> None:
    """Reliability, row 22: the last good configuration stays."""
    first = "upstreams: {mock: {kind: mock}}\ndefault_upstream: mock\n"
    async with Gateway(tmp_path, config=first) as gateway:
        assert "house-model" not in await list_models(gateway)
        gateway.config_path.write_text(f"{first}models: {{house-model: {{upstreams: [mock]}}}}\n")
        gateway.kill("supervisor", signal.SIGHUP)

        async def has_house_model() -> bool:
            return "house-model" in await list_models(gateway)

        await wait_until(has_house_model)
        gateway.config_path.write_text("upstreems: {}\n")
        gateway.kill("supervisor", signal.SIGHUP)
        await wait_until(lambda: "the last good one stays" in gateway.output)
        assert "upstreems" in gateway.output
        assert await has_house_model()
        assert (await chat(gateway))[0] == 200


async def test_generated_keys_are_shown_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, config=TENANTS) as first:
        [line] = [line for line in first.output.splitlines() if line.startswith("  acme/app")]
        secret = line.split()[-1]
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{first.base_url}/models", headers=headers) as reply,
        ):
            assert reply.status == 200
        assert not (first.home / "demo.key").exists()
    async with Gateway(tmp_path, config=TENANTS) as second:
        assert secret not in second.output


async def test_a_json_log_is_lines_of_json_without_secrets(tmp_path: Path) -> None:
    environ = {"APEX_LOG_FORMAT": "json"}
    async with Gateway(tmp_path, config=TENANTS, environ=environ) as gateway:
        lines = [json.loads(line) for line in gateway.output.splitlines()]
        [ready] = [line for line in lines if line.get("event") == "ready"]
        assert ready["base_url"] == gateway.base_url
        assert ready["admin_url"] == gateway.admin_url
        kept = gateway.home / "generated-keys.jsonl"
        assert kept.stat().st_mode & 0o777 == 0o600
        secret = json.loads(kept.read_text())["secret"]
        for hidden in (secret, gateway.admin_token):
            assert hidden not in gateway.output
        assert {line["severity"] for line in lines} <= {"INFO", "WARNING"}


# -- what is refused ------------------------------------------------------------------------------


async def test_a_home_or_a_store_in_use_names_its_owner(tmp_path: Path) -> None:
    async with Gateway(tmp_path / "one") as gateway:
        code, _, err = await gateway.verb("all")
        assert code == 2
        assert f"pid {gateway.pids['supervisor']}" in err
        assert "hint: " in err
        url = f"chdb://{gateway.home}/columnar"
        environ = clean_environment(tmp_path / "two", {"APEX_COLUMNAR_URL": url})
        code, _, err = await run_verb("all", environ=environ)
        assert code == 2
        assert f"already open in process {gateway.pids['control']}" in err
        assert "hint: " in err
        assert "Traceback" not in err
        assert (await chat(gateway))[0] == 200


async def test_a_bad_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text("tenants:\n  acme: {keys: [{name: app}], policy: balancd}\n")
    environ = clean_environment(tmp_path / ".apex", {"APEX_CONFIG": str(config)})
    code, out, err = await run_verb("all", environ=environ)
    assert (code, out) == (2, "")
    assert f"{config}:2: tenants.acme.policy: unknown policy 'balancd'" in err
    assert list(tmp_path.iterdir()) == [config]


async def test_lone_roles_leave_a_running_gateway_alone(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        announced = gateway.discovery
        code, _, err = await gateway.verb("mock", "--port", "0")
        assert code == 2
        assert f"pid {gateway.pids['supervisor']}" in err
        assert "APEX_HOME=" in err
        second = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "main.py"), "proxy",
            env=gateway.environ, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert second.stderr is not None
        async with asyncio.timeout(30):
            while b"not announced" not in await second.stderr.readline():
                assert second.returncode is None
        metrics = gateway.home / "run/metrics"
        await wait_until(lambda: any(metrics.glob(f"*-{second.pid}.json")), 30, "it serves")
        second.terminate()
        await second.communicate()
        assert second.returncode == 0
        assert gateway.discovery == announced
        assert (await chat(gateway))[0] == 200


async def test_an_explicit_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = clean_environment(tmp_path / ".apex", {"APEX_PROXY_PORT": port})
        code, _, err = await run_verb("all", environ=environ)
    assert code == 2
    assert f"port {port}" in err
    assert f"pid {os.getpid()}" in err
    assert "APEX_PROXY_PORT" in err


@pytest.mark.usefixtures("default_port_taken")
async def test_a_default_port_that_is_taken_moves_on(tmp_path: Path) -> None:
    async with Gateway(tmp_path, environ={"APEX_PROXY_PORT": ""}) as gateway:
        assert 8080 < gateway.discovery["proxy"]["port"] < 8180
        assert (await chat(gateway))[0] == 200


@pytest.fixture
async def default_port_taken() -> AsyncIterator[None]:
    """Port 8080 is in use: by us, or by whoever has it already."""
    opened = socket.socket()
    try:
        opened.bind(("127.0.0.1", 8080))
        opened.listen()
    except OSError:
        opened.close()
    yield
    opened.close()


async def test_a_bad_file_refuses_the_start_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "apex.yaml"
    config.write_text("upstreams:\n  mock: {kind: mock}\ndefault_upstreem: mock\n")
    environ = clean_environment(tmp_path / ".apex", {"APEX_CONFIG": str(config)})
    code, _, err = await run_verb("all", environ=environ)
    assert code == 2
    assert "apex.yaml:3" in err
    assert "default_upstream" in err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"APEX_KV_URL": "redis://127.0.0.1:port"}, "APEX_KV_URL"),
        ({"APEX_SQL_URL": "postgresql+asyncpg://u@h/n"}, "APEX_SQL_URL"),
        ({"APEX_PORT": "1"}, "APEX_PROXY_PORT"),
        ({"APEX_ENVIRONMENT": "production"}, "APEX_MASTER_KEY"),
    ],
)
async def test_settings_this_version_cannot_serve(
    tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    code, _, err = await run_verb("all", environ=clean_environment(tmp_path / "home", changes))
    assert code == 2
    assert err.startswith("error: ")
    assert named in err
    assert "hint: " in err


def test_the_supervisor_stays_light() -> None:
    """It lives as long as the gateway and does nothing: no engine, no web framework in it."""
    code = "import sys, roles.supervisor; print(*sys.modules)"
    loaded = _run_python(code).split()
    for heavy in ("aiohttp", "pydantic", "sqlalchemy", "chdb", "clickhouse_connect", "yaml"):
        assert heavy not in loaded, heavy


def _run_python(code: str) -> str:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout
