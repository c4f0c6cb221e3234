"""The command line itself: help, unknown words, how errors look, what stays unimported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.usage_sql import DIMENSIONS
from tests.gateway import ROOT, clean_environment, run_verb

VERBS = (
    "all", "proxy", "admin", "worker", "mock", "migrate", "usage", "requests", "conservation",
    "prices", "purge",
)  # fmt: skip


async def test_help_lists_every_verb_for_people_and_none_of_ours(tmp_path: Path) -> None:
    code, out, _ = await run_verb("--help", environ=clean_environment(tmp_path, {}))
    assert code == 0
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("    ")}
    assert set(VERBS) <= listed
    assert not listed & {"check-config", "control", "prepare"}


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_explains_itself(tmp_path: Path, verb: str) -> None:
    code, out, _ = await run_verb(verb, "--help", environ=clean_environment(tmp_path, {}))
    assert code == 0
    for ours in ("--fd", "--lifeline-fd", "--report-fd", "--gate-fd", "--mock-url"):
        assert ours not in out


async def test_an_error_of_the_operator_is_two_lines_and_no_traceback(tmp_path: Path) -> None:
    environ = clean_environment(tmp_path, {"APEX_PROXY_PROT": "1"})
    code, out, err = await run_verb("usage", environ=environ)
    assert (code, out) == (2, "")
    assert [line.split(":")[0].strip() for line in err.splitlines()] == ["error", "hint"]
    assert "APEX_PROXY_PORT" in err


def test_without_the_dependencies_it_says_how_to_install_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(ROOT / "main.py"), "usage"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is not installed" in done.stderr
    assert "make install" in done.stderr


def test_the_command_line_itself_imports_nothing_heavy() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['main.py', '--help']\n"
        "try:\n    runpy.run_path('main.py', run_name='__main__')\n"
        "except SystemExit:\n    print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "aiohttp", "config", "pydantic", "roles", "orjson"}


async def test_the_help_of_usage_names_every_group(tmp_path: Path) -> None:
    _, out, _ = await run_verb("usage", "--help", environ=clean_environment(tmp_path, {}))
    said = " ".join(out.split())
    assert f"{', '.join(DIMENSIONS)} (default" in said.replace(" or arm", ", arm")


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [(("--help",), ""), (("prices", "explain", "gpt-4o"), ""), (("prices", "explain", "x"), "1")],
)
def test_a_reader_that_leaves_is_no_failure(
    tmp_path: Path, words: tuple[str, ...], unbuffered: str
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), *words],
            stdout=write_end, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
            env=clean_environment(tmp_path / ".apex", {"PYTHONUNBUFFERED": unbuffered}),
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
