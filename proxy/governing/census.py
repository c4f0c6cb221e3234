"""How many proxy processes share the limits, on all hosts: each says at the server that it lives.

Kept by proxy/sharing.py. The last count holds while the server is away: each process then has one
part in so many of every limit.
"""

import secrets
from collections.abc import Callable

from config.tasks import TaskOwner
from storage.kv import Kv, KvUnavailableError, Script

EVERY_S = 2.0
LIVES_FOR_US = 10_000_000
KEY = "apex:{processes}"
PURGES_KEY = "apex:{processes}:purges"

COUNT = Script("""
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2]) / 1000))
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2]) or '0'}
""")


class Census:
    """This process's part in the count."""

    def __init__(self, kv: Kv, tasks: TaskOwner, least: int) -> None:
        """`least`: as many there are on this host alone."""
        self._channel = kv.open_channel("upkeep")
        kv.scripts.append(COUNT)
        self._tasks = tasks
        self._name = secrets.token_hex(8)
        self._least = least
        self._due_at = 0.0
        self.count = least
        self.on_purge: Callable[[], object] = lambda: None
        self._purges = ""
        self._has_left = False

    def share(self) -> int:
        """Among how many the limits are divided."""
        return self.count

    def sweep(self, now: float) -> None:
        """Say that this process lives, when it is time; monotonic seconds."""
        if now >= self._due_at:
            self._due_at = now + EVERY_S
            self._tasks.start(self._take_part(), "census")

    async def _take_part(self) -> None:
        if self._has_left:
            return
        try:
            answer = await self._channel.run(COUNT, [KEY, PURGES_KEY], [self._name, LIVES_FOR_US])
        except KvUnavailableError:
            return
        self.count = max(self._least, int(answer[0]))
        purges = bytes(answer[1]).decode()
        if self._purges and purges != self._purges:
            self.on_purge()
        self._purges = purges

    async def leave(self) -> None:
        """This process ends: the others need not wait until it is forgotten."""
        self._has_left = True
        try:
            await self._channel.ask("ZREM", KEY, self._name)
        except KvUnavailableError:
            return
