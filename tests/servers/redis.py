"""A Redis server of our own, and a cluster of three: nothing is written to disk.

The fixtures of tests/kv_engines.py have one of each a session; tests that stop one start another.
"""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.servers import (
    START_TIMEOUT_S,
    Server,
    WithBlock,
    accepts_connections,
    find_binary,
    pick_port,
)

PACKAGE = "redis-server"
CLIENT_PACKAGE = "redis-tools"
NODES = 3


class Redis(WithBlock):
    """`redis-server` on a port of 127.0.0.1; a with block."""

    def __init__(self, *options: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="apex-redis-"))
        self.port = pick_port()
        command = [find_binary("redis-server", PACKAGE), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self._directory), *options]
        self.server = Server(PACKAGE, command, self._directory / "log")

    def open(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, again where it was killed: on the same port, empty."""
        self.server.start(self._is_up)

    def close(self) -> None:
        """Stop it and remove everything."""
        self.server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def nodes(self) -> list["Redis"]:
        """Itself: what a cluster has several of."""
        return [self]

    @property
    def url(self) -> str:
        """What APEX_KV_URL takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def ask(self, *words: str) -> str:
        """What redis-cli prints of a command: for what a test does behind our back."""
        return ask(self.port, *words)

    def _is_up(self) -> bool:
        return accepts_connections(self.port) and _answers(self.port)


class RedisCluster(WithBlock):
    """Three nodes that share the slots; a with block."""

    def __init__(self) -> None:
        self.nodes = [
            Redis(
                *("--cluster-enabled", "yes", "--cluster-port", str(pick_port())),
                *("--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"),
            )
            for _ in range(NODES)
        ]

    def open(self) -> None:
        for node in self.nodes:
            node.start()
        places = [f"127.0.0.1:{node.port}" for node in self.nodes]
        ask(self.nodes[0].port, "--cluster", "create", *places, "--cluster-yes")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not all(self._is_whole(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.05)

    def close(self) -> None:
        """Stop all of them and remove everything."""
        for node in self.nodes:
            node.close()

    @property
    def url(self) -> str:
        """What APEX_KV_URL takes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def _is_whole(self, node: Redis) -> bool:
        said = node.ask("cluster", "info")
        return "cluster_state:ok" in said and f"cluster_known_nodes:{NODES}" in said


def ask(port: int, *words: str) -> str:
    """Run redis-cli against a port; its output."""
    program = find_binary("redis-cli", CLIENT_PACKAGE)
    done = subprocess.run(
        [program, "-p", str(port), *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"redis-cli failed: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def _answers(port: int) -> bool:
    """Whether it says PONG: it accepts connections a moment before it answers."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as link:
        link.sendall(b"PING\r\n")
        return link.recv(16).startswith(b"+PONG")
    return False
