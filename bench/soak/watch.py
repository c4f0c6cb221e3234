"""Looks at the running gateway from outside: /proc, its metrics, its files. Used by the runner."""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.soak.gateway import SoakGateway
from bench.soak.store import Store

OPEN_REQUESTS = re.compile(r"^apex_open_requests (\S+)$", re.MULTILINE)
SCRAPE_S = 10.0
KIB = 1024
SOCKET_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process at one moment."""

    pid: int
    rss_bytes: int
    pss_bytes: int
    fds: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The whole gateway at one moment, `at_s` into the run.

    `open_requests` is None when the metrics did not come in time; `machine_load` is the average of
    processes that wanted to run in the minute before, those of others too.
    """

    at_s: float
    machine_load: float
    processes: dict[str, ProcessSample]
    open_requests: float | None
    log_bytes: int
    backlog_bytes: int
    spool_files: int
    spool_bytes: int


class Watch:
    """Takes samples; remembers how far the store had come when it was last there."""

    def __init__(self, running: SoakGateway, store: Store) -> None:
        self._running = running
        self._store = store
        self._positions: dict[str, int] = {}

    async def sample(self, at_s: float) -> Sample:
        """One look at everything; how far the store is stays as last known while it is away."""
        # Before the files: what is written meanwhile counts as waiting, never as less than none.
        self._positions = await self._store.positions() or self._positions
        open_requests = await self._ask_open_requests()
        home = self._running.directory / ".apex"
        sizes, spool, processes = await asyncio.to_thread(self._look, home)
        return Sample(
            at_s=at_s,
            machine_load=os.getloadavg()[0],
            processes=processes,
            open_requests=open_requests,
            log_bytes=sum(sizes.values()),
            backlog_bytes=sum(
                max(0, size - self._positions.get(name, 0)) for name, size in sizes.items()
            ),
            spool_files=len(spool),
            spool_bytes=sum(spool),
        )

    async def _ask_open_requests(self) -> float | None:
        timeout = aiohttp.ClientTimeout(total=SCRAPE_S)
        url = f"{self._running.gateway.url}/health/metrics"
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url) as answer,
            ):
                found = OPEN_REQUESTS.search(await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return None
        return float(found[1]) if found else None

    def _look(self, home: Path) -> tuple[dict[str, int], list[int], dict[str, ProcessSample]]:
        segments = {
            f"{path.parent.name}/{path.stem}": size
            for path, size in sized(home / "segments", "*/*.seg")
        }
        spool = [size for _, size in sized(home / "unmetered", "*/*")]
        return segments, spool, dict(look_at_processes(self._running.pids()))


def sized(directory: Path, pattern: str) -> Iterator[tuple[Path, int]]:
    """Files and their sizes; what goes meanwhile is left out."""
    for path in directory.glob(pattern):
        try:
            yield path, path.stat().st_size
        except FileNotFoundError:
            continue


def look_at_processes(pids: dict[str, int]) -> Iterator[tuple[str, ProcessSample]]:
    """Every process that is there."""
    for name, pid in sorted(pids.items()):
        try:
            yield name, look_at_process(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue


def look_at_process(pid: int) -> ProcessSample:
    """Memory from smaps_rollup, which splits shared pages; FileNotFoundError when it is gone."""
    proc = Path("/proc", str(pid))
    memory = read_table(proc / "smaps_rollup")
    return ProcessSample(
        pid=pid,
        rss_bytes=memory["Rss"] * KIB,
        pss_bytes=memory["Pss"] * KIB,
        fds=len(list((proc / "fd").iterdir())),
        threads=len(list((proc / "task").iterdir())),
    )


def read_table(path: Path) -> dict[str, int]:
    """Lines "Name:   123 kB" as numbers."""
    rows = (line.split() for line in path.read_text().splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) for words in rows}


def count_fds(pid: int, pooled_port: int) -> tuple[int, int]:
    """(descriptors without, and only) the connections to `pooled_port`, an upstream's."""
    pooled = set(inodes_of_connections(pooled_port))
    links = []
    for path in Path("/proc", str(pid), "fd").iterdir():
        try:
            links.append(str(path.readlink()))
        except FileNotFoundError:
            continue
    to_upstream = sum(link.removeprefix("socket:[").rstrip("]") in pooled for link in links)
    return len(links) - to_upstream, to_upstream


def inodes_of_connections(port: int) -> Iterator[str]:
    """The sockets whose other end is `port`."""
    for table in SOCKET_TABLES:
        path = Path(table)
        if path.exists():
            for line in path.read_text().splitlines()[1:]:
                words = line.split()
                if int(words[2].rpartition(":")[2], 16) == port:
                    yield words[9]
