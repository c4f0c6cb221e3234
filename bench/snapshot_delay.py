"""How long a change takes until the data plane acts on it: `python -m bench.snapshot_delay`.

A whole gateway of its own holds thousands of keys. One after the other a key is made over the admin
API and then revoked: the delays run from the API's answer to the first 200, and to the first 401.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from bench.demo.gateway import clean_environment, read_url, run_verb
from config.secrets import load_key_ring
from config.settings import load_settings
from policies.keys import generate_key, key_hmac
from storage.sql import open_sql
from storage.tables import BY_API, api_keys

KEYS = "/admin/v1/tenants/acme/keys"
CONFIG = "upstreams: {mock: {kind: mock}}\ndefault_upstream: mock\n"
BOUND_S = 2.0
LONGEST_S = 30.0
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


class Probe:
    """One client of both planes."""

    def __init__(self, directory: Path, session: aiohttp.ClientSession) -> None:
        self._admin = read_url(directory, "admin")
        self._proxy = read_url(directory, "proxy")
        self._token = (directory / ".apex" / "admin.token").read_text().strip()
        self._session = session

    async def post(self, path: str, document: Any) -> Any:
        """An answer of the admin API; RuntimeError when it refuses."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.post(
            f"{self._admin}{path}", json=document, headers=headers
        ) as reply:
            if reply.status >= 400:
                raise RuntimeError(f"{path}: {reply.status} {await reply.text()}")
            return await reply.json()

    async def wait_for(self, secret: str, status: int) -> float:
        """Seconds until a call with this key gets this status."""
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {secret}"}
        while time.perf_counter() - began < LONGEST_S:
            async with self._session.post(
                f"{self._proxy}/v1/chat/completions", json=BODY, headers=headers
            ) as reply:
                if reply.status == status:
                    return time.perf_counter() - began
            await asyncio.sleep(0.005)
        raise RuntimeError(f"no {status} within {LONGEST_S:.0f} s")


async def add_keys(directory: Path, count: int) -> None:
    """As many keys as a large gateway has, straight into its store."""
    settings = load_settings(clean_environment(directory, {}))
    ring = load_key_ring(settings)
    now = datetime.now(UTC)
    rows = []
    for number in range(count):
        key = generate_key()
        rows.append({
            "key_id": key.key_id, "tenant": "acme", "name": f"bench-{number}", "managed_by": BY_API,
            "secret_hmac": key_hmac(ring.pepper(), key.secret).hex(), "pepper_id": ring.key_id,
            "last4": key.secret[-4:], "scopes": ["inference"], "created_at": now, "updated_at": now,
            "limits": {"rates": {"requests_per_minute": 600}, "budgets": []},
        })  # fmt: skip
    engine = open_sql(settings.sql_url)
    async with engine.begin() as connection:
        await connection.execute(sa.insert(api_keys), rows)
    await engine.dispose()


async def measure(directory: Path, keys: int, changes: int) -> dict[str, list[float]]:
    """Delays in seconds, by what was waited for."""
    (directory / "apex.yaml").write_text(CONFIG)
    settings = {
        "APEX_CONFIG": str(directory / "apex.yaml"), "APEX_PROXY_PORT": "0", "APEX_ADMIN_PORT": "0",
    }  # fmt: skip
    delays: dict[str, list[float]] = {"made": [], "revoked": []}
    async with (
        run_verb(directory, ("all",), settings, ("proxy", "admin", "mock")),
        aiohttp.ClientSession() as session,
    ):
        probe = Probe(directory, session)
        await probe.post("/admin/v1/tenants", {"name": "acme"})
        await add_keys(directory, keys)
        for number in range(changes):
            made = await probe.post(KEYS, {"name": f"probe-{number}"})
            delays["made"].append(await probe.wait_for(made["secret"], 200))
            await probe.post(f"{KEYS}/{made['key_id']}/revoke", {})
            delays["revoked"].append(await probe.wait_for(made["secret"], 401))
    return delays


def main() -> int:
    """0 when every change was live within the bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.snapshot_delay", description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000, help="keys there are beside")
    parser.add_argument("--changes", type=int, default=20, help="keys made, then revoked")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        delays = asyncio.run(measure(Path(directory), arguments.keys, arguments.changes))
    for what, seconds in delays.items():
        print(
            f"a key {what}, of {arguments.keys}: median {statistics.median(seconds):.3f} s, "
            f"longest {max(seconds):.3f} s, of {len(seconds)}"
        )
    longest = max(max(seconds) for seconds in delays.values())
    print(f"{'within' if longest < BOUND_S else 'NOT within'} {BOUND_S:.0f} s")
    return 0 if longest < BOUND_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
