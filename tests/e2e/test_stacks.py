"""Every client stack, unmodified but for base_url and key, before one gateway and its mock.

A script prints a line for each capability it saw working and fails on the first wrong thing. After
each of them nothing may be lost: what was recorded is what the mock billed.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.gateway import ROOT, Gateway, clean_environment
from tests.stacks.catalogue import HERE, STACKS, Stack
from tests.stacks.environments import prepare

pytestmark = pytest.mark.timeout(400)

SCRIPT_TIMEOUT_S = 90
BILL = re.compile(
    r"bill: (\d+) attempts equal in tokens and cost, 0 interrupted, (\d+) complete but unknown here"
)
NOTHING_BILLED = (
    "bill: 0 attempts equal in tokens and cost, 0 interrupted, 0 complete but unknown here"
)
CONFIG = """
upstreams:
  openai: {kind: mock}
  anthropic: {kind: mock, plays: anthropic}
  gemini: {kind: mock, plays: gemini}
models:
  gpt-4o-mini: {upstreams: [openai]}
  text-embedding-3-small: {upstreams: [openai]}
  claude-haiku-4-5: {upstreams: [anthropic]}
  gemini-2.5-flash: {upstreams: [gemini]}
  gemini-embedding-2: {upstreams: [gemini]}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path_factory.mktemp("stacks"), config=CONFIG) as running:
        yield running


def parameter(stack: Stack) -> object:
    name = f"{stack.name.split(',')[-1].strip()}-{stack.path.stem}".replace(" ", "-")
    return pytest.param(stack, id=name, marks=[pytest.mark.long] if stack.is_long else [])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("stack", [parameter(stack) for stack in STACKS])
async def test_the_stack_works_and_all_it_did_is_on_both_books(
    gateway: Gateway, stack: Stack
) -> None:
    before = await read_books(gateway)
    command = await asyncio.to_thread(prepare, stack)
    status, output, errors = await run(command, gateway)
    assert status == 0, f"{output}\n{errors}"
    assert set(output.splitlines()) == stack.lines
    after = await read_books(gateway)
    assert not after.differences - before.differences
    assert after.equal > before.equal
    assert after.unknown - before.unknown == stack.untold


async def run(command: list[str], gateway: Gateway) -> tuple[int | None, str, str]:
    """Run a script as its user would: (exit status, stdout, stderr)."""
    told = {
        "BASE_URL": gateway.proxy_url,
        "GATEWAY_KEY": gateway.api_key,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        env=clean_environment(gateway.home, told),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SCRIPT_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, out.decode(), err.decode()


@dataclass(frozen=True, slots=True)
class Books:
    """Our log beside the mock's bill: attempts equal on both, without usage, and what differs."""

    equal: int
    unknown: int
    differences: set[str]


async def read_books(gateway: Gateway) -> Books:
    """Ask for the conservation report; no event may be lost, whatever the bill says."""
    status, report = await gateway.admin("/admin/v1/conservation")
    assert status == 200, report
    log, store, *rows = report["rows"]
    assert re.search(r": (\d+) starts = \1 ends \+ 0 open \+ 0 unknown$", log), log
    assert re.search(r"\+ 0 missing; 0 not in the log, 0 doubled$", store), store
    bill = next((row for row in rows if row.startswith("bill: ")), NOTHING_BILLED)
    found = BILL.match(bill)
    assert found is not None, bill
    differences = {row for row in rows if row.startswith("  ") and "unknown here" not in row}
    assert report["is_exact"] or differences, report
    return Books(int(found[1]), int(found[2]), differences)


def test_every_script_is_tried_and_in_the_table() -> None:
    scripts = {path for suffix in ("py", "mjs", "sh") for path in HERE.glob(f"[!_]*.{suffix}")}
    scripts |= set(HERE.glob("*/*.mjs"))
    ours = {HERE / name for name in ("catalogue.py", "environments.py", "test_environments.py")}
    assert scripts - ours == {stack.path for stack in STACKS}
    text = (ROOT / "docs" / "clients.md").read_text()
    for stack in STACKS:
        assert stack.row in text
