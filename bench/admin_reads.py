"""How long the admin API's reads take over ten million usage events.

    .venv/bin/python -m bench.admin_reads --home /tmp/apex-reads --report docs/bench/admin-reads.md

Fills a home of its own (once; a second run finds it filled), starts the gateway on it, and asks
every route again and again over one connection, as a dashboard does.
"""

import argparse
import asyncio
import http.client
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from bench.admin_fill import DAY_US, fill
from config.clock import Clock
from config.settings import load_settings
from ledger.rolling import Roller
from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar

ROOT = Path(__file__).resolve().parent.parent
DAYS = 90
GROUPS = ("model", "served_model", "key", "tag", "day", "upstream", "cache", "tenant", "arm")
Case = tuple[str, str, dict[str, str]]  # what it is called, path, query


async def prepare(home: Path, events: int) -> int:
    """Fill the store and sum it, unless it is; the number of events in it."""
    settings = load_settings({"APEX_HOME": str(home)})
    columnar = await asyncio.to_thread(open_columnar, settings.columnar_url)
    try:
        await migrate_columnar(columnar)
        if await count_events(columnar) == 0:
            clock = Clock()
            await fill(columnar, events, clock.now_us() - (DAYS + 1) * DAY_US, DAYS)
            roller = Roller(columnar, clock)
            await roller.roll()
            await roller.roll()
        return await count_events(columnar)
    finally:
        await columnar.close()


async def count_events(columnar: Columnar) -> int:
    return int((await columnar.query("SELECT count() AS held FROM usage_events"))[0]["held"])


def list_cases() -> list[Case]:
    """Every read; usage by each dimension over all, over odd bounds, and of one tenant."""
    now_s = time.time()
    since, until = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s - days * 86_400 - 1234))
        for days in (55, 20)
    )
    spans = {"all": {}, "5 weeks": {"from": since, "to": until}, "a tenant": {"tenant": "tenant-3"}}
    usage = "/admin/v1/usage"
    cases: list[Case] = [
        (f"usage by {group}, {name}", usage, {"group_by": group, **span})
        for group in GROUPS
        for name, span in spans.items()
    ]
    others = ("tenants", "tiers", "models", "prices/gpt-4o-mini", "audit", "audit/export",
              "settings", "cache", "requests/r123457")  # fmt: skip
    return [*cases, *((f"/admin/v1/{path}", f"/admin/v1/{path}", {}) for path in others)]


def measure(
    connection: http.client.HTTPConnection, token: str, case: Case, tries: int
) -> list[float]:
    """Milliseconds of each try, sorted. The first, which nobody asked before, is one of them."""
    _, path, query = case
    taken = []
    for _ in range(tries):
        began = time.perf_counter()
        connection.request(
            "GET", f"{path}?{urlencode(query)}", headers={"Authorization": f"Bearer {token}"}
        )
        reply = connection.getresponse()
        body = reply.read()
        taken.append((time.perf_counter() - began) * 1000)
        if reply.status != 200:
            raise SystemExit(f"{path}: {reply.status} {body[:300]!r}")
    return sorted(taken)


def percentile(taken: list[float], share: float) -> float:
    return taken[max(0, math.ceil(share * len(taken)) - 1)]


def start_gateway(home: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """The process and its admin port, once it is ready."""
    environ = {**os.environ, "APEX_HOME": str(home), "APEX_PROXY_PORT": "0", "APEX_ADMIN_PORT": "0"}
    command = [sys.executable, str(ROOT / "main.py"), "all"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    for line in process.stdout:
        if b"is ready" in line:
            break
    place = json.loads((home.parent / ".service_discovery" / "admin.json").read_bytes())
    return process, int(place["port"])


def report(events: int, rows: list[tuple[str, list[float]]], tries: int) -> str:
    """The table, as Markdown."""
    usage = sorted(each for name, taken in rows if name.startswith("usage") for each in taken)
    others = sorted(each for name, taken in rows if not name.startswith("usage") for each in taken)
    lines = [
        "# Reads of the admin API over ten million events",
        "",
        f"{events:,} events of {DAYS} days in the embedded store, {tries} tries of each route over"
        f" one connection, {os.cpu_count()} cores at a load average of {os.getloadavg()[0]:.1f}"
        f" (at rest below 1), Python {platform.python_version()}."
        " Milliseconds from request to the whole answer. Made by `bench/admin_reads.py`.",
        "",
        "| read | p50 | p95 | most |",
        "|---|---:|---:|---:|",
    ]
    every = [("**every usage query**", usage), ("**every other read**", others)]
    for name, taken in [*every, *rows]:
        figures = (percentile(taken, 0.5), percentile(taken, 0.95), taken[-1])
        lines.append(f"| {name} | " + " | ".join(f"{each:.1f}" for each in figures) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    home = asked.home.absolute() / ".apex"
    events = asyncio.run(prepare(home, asked.events))
    process, port = start_gateway(home)
    try:
        token = (home / "admin.token").read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        rows = [(case[0], measure(connection, token, case, asked.tries)) for case in list_cases()]
    finally:
        process.terminate()
        process.wait()
    text = report(events, rows, asked.tries)
    print(text)
    if asked.report:
        asked.report.write_text(text)


if __name__ == "__main__":
    main()
