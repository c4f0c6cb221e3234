"""Who takes part: ours, the yardsticks, the mock alone, and the peers of peers.py.

A contestant only says how it is started and called; starting.py starts it.
"""

import contextlib
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.gateways.apex_home import (
    KEYS,
    ROOT,
    environment_of,
    header_of,
    placeholder_header,
)
from bench.gateways.interpreter import Interpreter
from bench.gateways.processes import BOTH_CORES, GATEWAY_CORE, BenchError

FIRST_PORT, PORTS, PORT_TRIES = 20_000, 10_000, 100
CHAT = "/v1/chat/completions"
MODEL = "gpt-4o-mini"
ANY_KEY = ("Authorization: Bearer sk-bench",)


@dataclass(frozen=True, slots=True)
class Place:
    """Where this run keeps its files and finds its tools."""

    work: Path
    python: Interpreter
    upstream_port: int
    peers: Path  # what bench/peers.sh installed

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


@dataclass(frozen=True, slots=True)
class Contestant:
    """How one gateway is started and called; without a command it is the mock itself."""

    name: str
    title: str
    port: int
    command: tuple[str, ...] = ()
    version: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: str = GATEWAY_CORE
    headers: tuple[str, ...] = ANY_KEY
    hit_headers: tuple[str, ...] = ANY_KEY  # of repeated bodies: one key, always
    keys: int = 1
    path: str = CHAT
    model: str = MODEL
    missing: str = ""  # why it cannot be started here
    port_file: Path | None = None  # where one that picks its own port writes it
    home: Path | None = None  # ours: a home whose control process runs beside it


def free_port() -> int:
    """A port nobody has now, of those the system gives to no outgoing connection by itself."""
    for _ in range(PORT_TRIES):
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BenchError(f"no free port from {FIRST_PORT} up")


def yardsticks(place: Place) -> list[Contestant]:
    """What ours is measured against: nothing, a pass-through, a constant answer."""
    return [
        Contestant("direct", "no gateway: the mock upstream itself", place.upstream_port),
        _aiohttp(place, "bare", "bare aiohttp pass-through", "bench.bare_aiohttp"),
        _aiohttp(place, "constant", "aiohttp, a constant answer", "bench.constant_aiohttp"),
    ]


def _aiohttp(place: Place, name: str, title: str, module: str) -> Contestant:
    port = free_port()
    words = ("-m", module, "--port", str(port), "--upstream", place.upstream)
    environment = {"PYTHONPATH": str(ROOT)}
    return Contestant(name, title, port, (place.python.path, *words), environment=environment)


def ours(place: Place) -> list[Contestant]:
    """The product as it is run, once as one process and once as two."""
    one = _apex(place, "apex", "Netra Apex", 1)
    two = _apex(place, "apex2", "Netra Apex, 2 processes", 2)
    return [one, two]


def _apex(place: Place, name: str, title: str, workers: int) -> Contestant:
    port = free_port()
    home = place.work / name
    return Contestant(
        name, title, port, (place.python.path, str(ROOT / "main.py"), "proxy"),
        environment=environment_of(home, port, workers),
        cores=GATEWAY_CORE if workers == 1 else BOTH_CORES,
        headers=(placeholder_header(),), hit_headers=(header_of(0),), keys=KEYS, home=home,
    )  # fmt: skip
