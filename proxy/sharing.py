"""What proxy processes share by way of Redis, where APEX_KV_URL names one; else each its own.

Called by role.py. The vendor's library is imported only when the URL asks for it.
"""

from collections.abc import Callable

from config.clock import Clock
from config.metrics import Metrics
from config.settings import Settings
from config.tasks import TaskOwner
from proxy.governing.local_counters import LocalCounters
from proxy.shared_store import SharedStore

MEMORY = "memory://"


class Alone:
    """memory://: every process has its own, and its part of each limit."""

    is_away = False
    answers: SharedStore | None = None

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.counters = LocalCounters(clock, lambda: settings.workers)

    async def start(self, on_purge: Callable[[], object]) -> None:
        """Nothing to connect to."""

    def tick(self) -> None:
        """Forget what has run out."""
        self.counters.sweep()

    async def close(self) -> None:
        """Nothing to give back."""


class Together:
    """A server or cluster that all processes of all hosts share."""

    def __init__(
        self, settings: Settings, tasks: TaskOwner, clock: Clock, metrics: Metrics
    ) -> None:
        from proxy.governing.census import Census
        from proxy.governing.shared_counters import SharedCounters
        from proxy.shared_answers import SharedAnswers
        from storage.kv import open_kv

        self._clock = clock
        self._metrics = metrics
        self.kv = open_kv(settings.kv_url, tasks, settings.kv_deadline_ms / 1000)
        self._census = Census(self.kv, tasks, settings.workers)
        self.counters = SharedCounters(self.kv, tasks, clock, metrics, self._census.share)
        self.answers: SharedStore | None = SharedAnswers(self.kv, tasks, clock, metrics)

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer; this process then goes on with its part."""
        return self.kv.circuit.is_open

    async def start(self, on_purge: Callable[[], object]) -> None:
        """Connect; a server that is away is looked for in the background.

        `on_purge` is called when any process has purged answers.
        """
        self._census.on_purge = on_purge
        await self.kv.start()

    def tick(self) -> None:
        """Forget what has run out, tell what was missed, take part in the count."""
        self._metrics.gauge("apex_kv_circuit_open", float(self.is_away))
        self.counters.sweep()
        self._census.sweep(self._clock.monotonic())

    async def close(self) -> None:
        """Leave the count, and give the connections back."""
        await self._census.leave()
        await self.kv.close()


def open_sharing(
    settings: Settings, tasks: TaskOwner, clock: Clock, metrics: Metrics
) -> Alone | Together:
    """What APEX_KV_URL asks for; raises ConfigError."""
    if settings.kv_url.startswith(MEMORY):
        return Alone(settings, clock)
    return Together(settings, tasks, clock, metrics)
