"""`make soak` in small: real processes, the whole mix, the store killed for a third of it."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.gateway import ROOT

pytestmark = pytest.mark.e2e

MINUTES, RATE = 0.4, 50
KEPT = (
    "every call ends as its kind has to", "conservation: log, store and the mock's bill",
    "the gateway's end after SIGTERM", "descriptors at rest, after less before",
    "requests open at rest", "log bytes not stored at the end",
)  # fmt: skip


@pytest.mark.parametrize(
    "minutes", [MINUTES, pytest.param(3, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
@pytest.mark.timeout(300)
async def test_a_cut_of_the_soak_breaks_no_bound(tmp_path: Path, minutes: float) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.soak", f"--minutes={minutes}", f"--rate={RATE}", "--untimed",
        f"--to={tmp_path}",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert "\nexact\n" in output
    report = (tmp_path / "soak.md").read_text()
    assert all(f"| {what} |" in report for what in KEPT)
    assert "**broken**" not in report
    assert (tmp_path / "soak.svg").read_text().startswith("<svg")
