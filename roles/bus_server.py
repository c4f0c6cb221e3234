"""The control process's end of the bus: tells the proxies of snapshots, purges and stops.

Started by roles/control.py; the admin API reaches it through `admin_api.context.CachePurger`.
The socket lies in a directory that only this user may enter, which is its access control.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.bus import MAX_LINE_BYTES, Message, decode_line, encode_line, unix_address

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Peer:
    """One connected proxy; `index` and `pid` are known once it has said hello."""

    writer: asyncio.StreamWriter
    index: int = -1
    pid: int = 0
    purges: dict[int, asyncio.Future[int]] = field(default_factory=dict)


class BusServer:
    """Listens for proxies and keeps the newest snapshot number for those who come late."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._peers: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._snapshot_number = 0
        self._last_purge = 0
        self.on_hello: Callable[[int, Callable[[Message], None]], None] | None = None

    @property
    def proxies(self) -> list[dict[str, int]]:
        """The proxies that have said hello, in order of their index."""
        known = [peer for peer in self._peers if peer.pid]
        return [
            {"index": peer.index, "pid": peer.pid}
            for peer in sorted(known, key=lambda peer: peer.index)
        ]

    @property
    def is_listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def start(self) -> None:
        """Listen; a socket file left by a process that was killed is replaced."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with unix_address(self._path) as address:
            listener.bind(address)
        self._path.chmod(0o600)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=MAX_LINE_BYTES
        )

    async def stop(self) -> None:
        """Stop listening and close every connection; the proxies keep serving."""
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.writer.close()
        self._path.unlink(missing_ok=True)

    def announce_snapshot(self, number: int) -> None:
        """Tell every proxy, now and as it connects, that this snapshot is on disk."""
        self._snapshot_number = number
        self._broadcast({"type": "snapshot", "number": number})

    def announce_fresh(self, number: int) -> None:
        """Vouch to every proxy: this is the snapshot of now, and there is none behind it."""
        self._broadcast({"type": "fresh", "number": number})

    def announce_revoked(self, key_id: str) -> None:
        """Tell every proxy that a key is over; one that misses it reads it from disk."""
        self._broadcast({"type": "revoked", "key_ids": [key_id]})

    def announce(self, message: Message) -> None:
        """Tell every proxy that is there."""
        self._broadcast(message)

    async def purge(self, tenant: str | None, timeout_s: float = 2.0) -> tuple[int, int]:
        """Empty the proxies' caches: (entries removed, proxies that answered in time)."""
        self._last_purge += 1
        number = self._last_purge
        loop = asyncio.get_running_loop()
        answers = []
        for peer in self._peers:
            peer.purges[number] = loop.create_future()
            answers.append(peer.purges[number])
        self._broadcast({"type": "purge", "tenant": tenant, "id": number})
        if not answers:
            return 0, 0
        done, _ = await asyncio.wait(answers, timeout=timeout_s)
        for peer in self._peers:
            peer.purges.pop(number, None)
        removed = [answer.result() for answer in done if not answer.cancelled()]
        return sum(removed), len(removed)

    def _broadcast(self, message: Message) -> None:
        line = encode_line(message)
        for peer in self._peers:
            peer.writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        self._peers.add(peer)
        if self._snapshot_number:
            writer.write(encode_line({"type": "snapshot", "number": self._snapshot_number}))
        try:
            while line := await reader.readline():
                self._receive(peer, decode_line(line) or {})
        except (OSError, ValueError) as error:  # ValueError: a line over MAX_LINE_BYTES
            _log.warning("a proxy's bus connection broke: %s", error)
        finally:
            self._forget(peer)

    def _receive(self, peer: Peer, message: dict[str, Any]) -> None:
        if message.get("type") == "hello":
            peer.index = int(message.get("index", 0))
            peer.pid = int(message.get("pid", 0))
            if self.on_hello is not None:
                started_us = int(message.get("started_us", 0))
                self.on_hello(started_us, lambda said: peer.writer.write(encode_line(said)))
        elif message.get("type") == "purged":
            answer = peer.purges.pop(int(message.get("id", 0)), None)
            if answer is not None and not answer.done():
                answer.set_result(int(message.get("removed", 0)))

    def _forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        for answer in peer.purges.values():
            answer.cancel()  # it left without answering
        with contextlib.suppress(OSError):
            peer.writer.close()
