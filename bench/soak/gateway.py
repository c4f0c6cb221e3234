"""The gateway under soak: `python main.py all` on a store that is killed; used by the runner."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.demo.gateway import ROOT, Gateway, clean_environment, run_verb
from bench.soak.mix import FLAKY, STEADY

WORKERS = 2
VERB_S = 300.0
CONFIG = f"""
upstreams: {{mock: {{kind: mock}}, flaky: {{kind: mock}}}}
default_upstream: mock
models: {{{FLAKY}: {{upstreams: [{{upstream: flaky, model: {STEADY}}}]}}}}
timeouts: {{first_token_s: 10, total_s: 20}}
tenants:
  soak: {{keys: [{{name: soak, secret: env:SOAK_KEY}}], policy: balanced}}
"""


@dataclass(slots=True)
class SoakGateway:
    """A running gateway, and how to ask it from outside."""

    directory: Path
    gateway: Gateway
    environ: dict[str, str]
    process: asyncio.subprocess.Process

    def pids(self) -> dict[str, int]:
        """Running processes by role, the supervisor included."""
        path = self.directory / ".apex" / "run" / "processes.json"
        found: dict[str, int] = json.loads(path.read_bytes())
        return found

    async def conservation(self) -> tuple[int, str]:
        """Exit status and output of `python main.py conservation`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "main.py"), "conservation",
            env=self.environ, cwd=self.directory, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(VERB_S):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode().strip()


@asynccontextmanager
async def run_soak_gateway(directory: Path, columnar_url: str) -> AsyncIterator[SoakGateway]:
    """From when it serves to the end of the block; its exit status is known after it."""
    api_key = secrets.token_urlsafe(32)
    directory.mkdir(parents=True)
    config = directory / "apex.yaml"
    config.write_text(CONFIG)
    changes = {
        "APEX_CONFIG": str(config),
        "APEX_PROXY_PORT": "0",
        "APEX_ADMIN_PORT": "0",
        "APEX_WORKERS": str(WORKERS),
        "APEX_COLUMNAR_URL": columnar_url,
        "SOAK_KEY": api_key,
    }
    async with run_verb(directory, ("all",), changes, ("proxy", "admin", "mock")) as process:
        environ = clean_environment(directory, changes)
        yield SoakGateway(directory, Gateway(directory, api_key), environ, process)
