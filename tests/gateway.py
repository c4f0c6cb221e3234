"""The whole gateway in processes of its own: what every end-to-end test starts and speaks to.

    async with Gateway(tmp_path, config="...apex.yaml...", workers=2) as gateway: ...

Ports are free ones, the home is fresh, and nothing of the product is replaced. Provider keys of
the machine are kept out, so that the mock answers unless the given configuration says otherwise.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 45.0
# Without a holdout: with one, some sessions would go past the cache, by the luck of the salt.
ACME_KEY = "the-key-of-acme-which-has-more-than-32-characters"
ACME_CONFIG = f"""
upstreams: {{mock: {{kind: mock}}}}
default_upstream: mock
tenants:
  acme:
    keys: [{{name: app, secret: {ACME_KEY}}}]
    policy: {{rules: [{{name: reuse, cache: {{ttl_s: 3600}}}}]}}
"""
BANNERS = ("Netra Apex is ready", '"event": "ready"')  # as text, and as JSON


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 10.0, what: str = ""
) -> None:
    """Wait for a condition, looking often; AssertionError when it does not come true in time."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                value = condition()
                if value if isinstance(value, bool) else await value:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not true within {timeout_s} s: {what or condition}") from None


def clean_environment(home: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """The machine's environment without settings and provider keys, and with these changes."""
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251  a child needs PATH and the like
        if not name.startswith("APEX_") and not name.endswith("_API_KEY")
    }
    if kept.get("PYTHONDONTWRITEBYTECODE"):
        # Compiling every dependency again takes longer than starting a gateway does.
        kept["PYTHONDONTWRITEBYTECODE"] = ""
        kept["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "apex-tests-bytecode")
    ports = {"APEX_PROXY_PORT": "0", "APEX_ADMIN_PORT": "0"}
    return {**kept, "APEX_HOME": str(home), **ports, **changes}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


async def run_verb(*words: str, environ: Mapping[str, str]) -> tuple[int, str, str]:
    """Run `python main.py WORDS` to its end: (exit status, stdout, stderr)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        *words,
        env=dict(environ),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, out.decode(), err.decode()


class Gateway:
    """`python main.py all` in a subprocess; stopped at the end of the block, killed if need be."""

    def __init__(
        self,
        directory: Path,
        *,
        config: str | None = None,
        workers: int = 1,
        environ: Mapping[str, str] | None = None,
        verb: str = "all",
    ) -> None:
        self.directory = directory
        self.home = directory / ".apex"
        self.config_path = directory / "apex.yaml"
        changes = {"APEX_WORKERS": str(workers), **(environ or {})}
        if config is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self.config_path.write_text(config)
            changes["APEX_CONFIG"] = str(self.config_path)
        self.environ = clean_environment(self.home, changes)
        self.workers = workers
        self._verb = verb
        self._away: frozenset[str] = frozenset()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start and wait until every process serves; AssertionError shows the output."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output_path.unlink(missing_ok=True)
        with self.output_path.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "main.py"),
                self._verb,
                env=self.environ,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            await wait_until(self._is_up, START_TIMEOUT_S, "the gateway is up")
        except BaseException:
            await self.stop()
            raise

    async def start_without(self, away: Collection[str]) -> None:
        """Start where these dependencies are away; every other one has to be well."""
        self._away = frozenset(away)
        await self.start()

    async def wait_until_ready(self) -> None:
        """Wait until every dependency is well again, as after a restart of a child."""
        self._away = frozenset()
        await wait_until(self._is_up, START_TIMEOUT_S, "the gateway is ready again")

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and wait; the exit status. Kills what does not end."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"the gateway did not stop:\n{self.output}") from None

    def kill(self, role: str = "supervisor", number: signal.Signals = signal.SIGKILL) -> int:
        """Signal one process by role ("supervisor", "control", "mock", "proxy-0"); its pid."""
        pid = self.pids[role]
        os.kill(pid, number)
        return pid

    async def kill_and_wait_for_restart(self, role: str) -> int:
        """Kill -9 a child and wait until another has taken its place; the new pid."""
        old = self.kill(role)
        await wait_until(lambda: self.pids.get(role, old) != old, 15.0, f"{role} is started again")
        return self.pids[role]

    # -- what it says -----------------------------------------------------------------------------

    @property
    def output_path(self) -> Path:
        return self.directory / ("gateway.log" if self._verb == "all" else f"{self._verb}.log")

    @property
    def output(self) -> str:
        """All it has printed, standard error included."""
        return self.output_path.read_text() if self.output_path.exists() else ""

    @property
    def pids(self) -> dict[str, int]:
        """Running processes by role; a child between two lives is left out."""
        try:
            found: dict[str, int] = orjson.loads((self.home / "run/processes.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    @property
    def discovery(self) -> dict[str, dict[str, Any]]:
        """The content of .service_discovery/*.json by name."""
        directory = self.directory / ".service_discovery"
        return {path.stem: orjson.loads(path.read_bytes()) for path in directory.glob("*.json")}

    @property
    def proxy_url(self) -> str:
        return str(self.discovery["proxy"]["url"])

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as base_url."""
        return f"{self.proxy_url}/v1"

    @property
    def admin_url(self) -> str:
        return str(self.discovery["admin"]["url"])

    @property
    def mock_url(self) -> str:
        return str(self.discovery["mock"]["url"])

    @property
    def api_key(self) -> str:
        """The demo tenant's key, or acme's; another configuration has keys of its own."""
        demo = self.home / "demo.key"
        return demo.read_text().strip() if demo.exists() else ACME_KEY

    @property
    def admin_token(self) -> str:
        given = self.environ.get("APEX_ADMIN_TOKEN")
        return given or (self.home / "admin.token").read_text().strip()

    # -- asking -----------------------------------------------------------------------------------

    async def admin(
        self, path: str, *, method: str = "GET", token: str | None = None, **options: Any
    ) -> tuple[int, Any]:
        """(status, document) of an admin call; `token` "" sends none."""
        bearer = self.admin_token if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.admin_url}{path}", headers=headers, **options) as reply,
        ):
            body = await reply.read()
            is_json = "json" in reply.content_type
            return reply.status, orjson.loads(body) if is_json else body.decode()

    async def verb(self, *words: str) -> tuple[int, str, str]:
        """Run another verb of main.py in this gateway's environment."""
        return await run_verb(*words, environ=self.environ)

    async def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            code = self._process.returncode
            raise AssertionError(f"the gateway ended with {code}:\n{self.output}")
        if self._verb == "mock":
            return "mock" in self.discovery
        if self._verb == "admin":
            found = "admin" in self.discovery
            return found and await self._is_ready(f"{self.admin_url}/health/ready")
        if self._verb == "proxy":  # alone it is degraded: there is no control process
            found = "proxy" in self.discovery
            return found and await self._is_ready(f"{self.proxy_url}/health")
        if not {"proxy", "admin"} <= set(self.discovery):
            return False
        if not any(banner in self.output for banner in BANNERS):
            return False
        return await self._is_ready(f"{self.proxy_url}/health/ready") and (
            await self._is_ready(f"{self.admin_url}/health/ready")
        )

    async def _is_ready(self, url: str) -> bool:
        """Ready with every dependency: all proxies connected, the stores open."""
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as reply:
                document = await reply.json(content_type=None)
        except (aiohttp.ClientError, orjson.JSONDecodeError):
            return False
        if reply.status != 200:
            return False
        states = document.get("dependencies", {})
        return (document["status"] == "ok" or bool(self._away)) and all(
            states[name]["status"] == "ok" for name in states if name not in self._away
        )
