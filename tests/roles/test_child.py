"""A kept child process, with small scripts in the place of the program."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from config.clock import Clock
from config.settings import load_settings
from config.tasks import TaskOwner
from roles.child import Child, ChildSpec, Launch, Report
from tests.gateway import wait_until

SLEEPER = "import time\ntime.sleep(600)\n"
STUBBORN = (
    "import json, os, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "fd = int(sys.argv[-1].partition('=')[2])\n"
    "os.write(fd, json.dumps({'type': 'deaf'}).encode() + b'\\nnot json\\n')\n"
    "time.sleep(600)\n"
)
TALKATIVE = (
    "import json, os, sys, time\n"
    "fd = int(sys.argv[-1].partition('=')[2])\n"
    "models = [f'model-{number:05d}' for number in range(20_000)]\n"
    "line = json.dumps({'type': 'snapshot', 'models': models}).encode() + b'\\n'\n"
    "while line: line = line[os.write(fd, line):]\n"
    "os.write(fd, json.dumps({'type': 'next'}).encode() + b'\\n')\n"
    "time.sleep(600)\n"
)


@asynccontextmanager
async def kept(tmp_path: Path, script: str) -> AsyncIterator[tuple[Child, list[Report]]]:
    """A child kept running, and what it reported."""
    path = tmp_path / "program.py"
    path.write_text(script)
    read_fd, write_fd = os.pipe()
    environ = load_settings({"APEX_HOME": str(tmp_path)}).environ
    reports: list[Report] = []
    launch = Launch(path, environ, read_fd, Clock())
    child = Child(ChildSpec("child", ("verb",)), launch, lambda _, report: reports.append(report))
    tasks = TaskOwner()
    tasks.start(child.keep_running(), "child")
    try:
        yield child, reports
    finally:
        await child.stop(0.2)
        await tasks.stop()
        os.close(read_fd)
        os.close(write_fd)


def kinds(reports: list[Report]) -> list[str]:
    return [report["type"] for report in reports]


async def test_a_killed_child_is_started_again_at_once(tmp_path: Path) -> None:
    async with kept(tmp_path, SLEEPER) as (child, reports):
        await wait_until(lambda: child.pid is not None)
        first = child.pid
        child.send_signal(signal.SIGKILL)
        async with asyncio.timeout(2):
            await wait_until(lambda: child.pid not in {None, first})
        assert kinds(reports) == ["started", "died", "started"]
        assert child.deaths == 1
        assert child.exit_status == -signal.SIGKILL


async def test_a_child_that_keeps_failing_is_started_ever_more_slowly(tmp_path: Path) -> None:
    clock = Clock()
    moments: list[float] = []
    async with kept(tmp_path, "raise SystemExit(3)\n") as (child, reports):

        def has_died(times: int) -> bool:
            if child.deaths > len(moments):
                moments.append(clock.monotonic())
            return child.deaths >= times

        await wait_until(lambda: has_died(5))
        pauses = [later - earlier for earlier, later in pairwise(moments)]
        assert pauses[-1] > 0.4  # 0.05, 0.1, 0.2, 0.4
        assert child.exit_status == 3
        assert "started" in kinds(reports)


async def test_reports_are_handed_on_and_a_deaf_child_is_killed(tmp_path: Path) -> None:
    async with kept(tmp_path, STUBBORN) as (child, reports):
        await wait_until(lambda: "deaf" in kinds(reports))
        await child.stop(0.2)
        assert child.exit_status in {None, -signal.SIGKILL}
        await wait_until(lambda: kinds(reports)[-1] == "died")
        assert child.pid is None


async def test_a_report_longer_than_a_pipe_is_handed_on_whole(tmp_path: Path) -> None:
    """A snapshot's report names every model: 300 kB here, where 64 KiB was once the most."""
    async with kept(tmp_path, TALKATIVE) as (child, reports):
        await wait_until(lambda: "next" in kinds(reports))
        assert kinds(reports) == ["started", "snapshot", "next"]
        assert len(reports[1]["models"]) == 20_000
        assert child.deaths == 0


async def test_a_stop_during_the_pause_between_two_lives_is_heard(tmp_path: Path) -> None:
    async with kept(tmp_path, "raise SystemExit(1)\n") as (child, _):
        await wait_until(lambda: child.deaths >= 3)
        await child.stop(5)
        deaths = child.deaths
        assert child.pid is None
    assert child.deaths <= deaths + 1
