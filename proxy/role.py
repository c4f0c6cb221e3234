"""The proxy process: wires the data plane, serves on a given socket, drains at a stop.

Called by roles/ with a bound socket; this is the only file of the package that opens anything.
"""

import asyncio
import gc
import logging
import os
import secrets
import socket
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from config.bus import BusClient
from config.clock import Clock
from config.errors import ConfigError
from config.metrics import Metrics
from config.secrets import load_key_ring
from config.settings import Settings
from config.tasks import TaskOwner
from ledger.segment_log import SegmentWriter
from ledger.sink import EventSink
from proxy.admission import Admission
from proxy.app import build_app
from proxy.cache import AnswerCache
from proxy.governor import Governor
from proxy.health import ProxyHealth
from proxy.limits import ConcurrencyGate
from proxy.pipeline import Pipeline
from proxy.providers import litellm_door
from proxy.reading import RequestReader
from proxy.realtime import Realtime
from proxy.recorder import Recorder
from proxy.resources.ownership import OwnershipMap
from proxy.resources.relay import ResourceRelay
from proxy.routes import direct_answerers
from proxy.server import DirectRunner
from proxy.sharing import open_sharing
from proxy.snapshot_holder import SnapshotHolder
from proxy.unmetered import UnmeteredSpool
from proxy.upstream import UpstreamCaller
from proxy.upstream_client import AiohttpClient
from proxy.wire_client import WireClient
from storage.memory_cache import ByteBoundedCache

BACKLOG = 4096
TICK_S = 1.0
GC_THRESHOLDS = (50_000, 50, 100)

logger = logging.getLogger(__name__)


class ProxyProcess:
    """Everything one proxy process owns."""

    def __init__(self, settings: Settings, index: int, clock: Clock) -> None:
        home = settings.home
        self.clock = clock
        self.tasks = TaskOwner()
        self.logged_bytes = 0
        self._is_loading = False
        self.metrics = Metrics(home / "run" / "metrics", "proxy")
        key_ring = load_key_ring(settings)
        self.holder = SnapshotHolder(home, key_ring, clock, settings.snapshot_max_stale_s)
        self.has_news = asyncio.Event()  # a newer snapshot may be on disk
        self.writer = SegmentWriter(home / "segments", f"proxy-{index}-{secrets.token_hex(6)}")
        self.client = WireClient()
        self.unmetered = UnmeteredSpool(
            home / "unmetered" / f"proxy-{index}", key_ring, self.metrics, settings.workers
        )
        recorder = Recorder(EventSink(self.writer, clock), clock, self.metrics, self.unmetered)
        self.sharing = open_sharing(settings, self.tasks, clock, self.metrics)
        cache_bytes = self.holder.live.snapshot.cache.max_bytes
        self.cache = AnswerCache(
            ByteBoundedCache(cache_bytes, clock), clock, self.metrics, self.sharing.answers
        )
        self.gate = ConcurrencyGate()
        governor = Governor(self.sharing.counters, clock, self.metrics)
        self.ownership = OwnershipMap(home / "ownership" / "objects.jsonl", clock)
        self.admission = Admission(self.holder, self.gate, recorder, self.metrics, clock, governor)
        self.pipeline = Pipeline(
            admission=self.admission,
            reader=RequestReader(self.holder, self.ownership, clock),
            cache=self.cache,
            upstream=UpstreamCaller(self.client, recorder, self.ownership, clock, self.metrics),
            recorder=recorder,
            metrics=self.metrics,
            clock=clock,
            tasks=self.tasks,
        )
        self.resource_client = AiohttpClient()
        self.relay = ResourceRelay(self.admission, self.ownership, self.resource_client)
        self.realtime = Realtime(self.admission, self.resource_client)
        hello = {"type": "hello", "role": "proxy", "pid": os.getpid(), "index": index}
        hello["started_us"] = clock.now_us()
        self.bus = BusClient(home / "run" / "bus.sock", self.receive, hello)
        self.health = ProxyHealth(
            holder=self.holder,
            upstream=self.pipeline.upstream,
            metrics=self.metrics,
            metrics_directory=home / "run" / "metrics",
            is_bus_connected=lambda: self.bus.is_connected,
            log_failures=lambda: self.writer.failures,
            is_kv_away=lambda: self.sharing.is_away,
        )

    def receive(self, message: Any) -> dict[str, Any] | None:
        """Act on a message of the control process."""
        kind = message.get("type")
        if kind == "snapshot":
            self.has_news.set()
        elif kind == "fresh":
            if not self.holder.confirm(int(message.get("number", 0))):
                self.has_news.set()
        elif kind == "revoked":
            self.holder.revoke(str(key_id) for key_id in message.get("key_ids", ()))
        elif kind == "spent":
            for tenant, counter, picousd, end_s in message["sums"]:
                self.sharing.counters.seed(tenant, counter, int(picousd), end_s)
        elif kind == "purge":
            return {"type": "purged", "removed": self.purge(message.get("tenant"))}
        return None

    def purge(self, tenant: str | None) -> int:
        """Forget the answers of one tenant, or all, here and where they are shared."""
        return self.cache.purge(tenant, self.holder.live.snapshot.tenants)

    async def refresh(self) -> None:
        """Take a newer snapshot from disk; a bad one is refused and the old one stays.

        It is read on a thread: ten thousand keys take longer than a request may wait.
        """
        try:
            self.holder.look_at_disk()
            fresh = await asyncio.to_thread(self.holder.read_newer)
            if fresh is not None and self.holder.take(fresh):
                logger.info("serving from snapshot %d", self.holder.live.snapshot.number)
        except (ConfigError, OSError):
            logger.exception("the new snapshot is unusable: still serving from the last good one")

    async def refresh_forever(self) -> None:
        """Refresh whenever there are news; what comes meanwhile is seen the next time."""
        while True:
            await self.has_news.wait()
            self.has_news.clear()
            await self.refresh()

    def tick(self) -> None:
        """Do what is due each second: arm epoch, gauges, metrics on disk."""
        self.holder.epoch = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m")
        self.holder.look_at_time()
        self.metrics.gauge("apex_open_requests", self.gate.open_requests)
        self.metrics.gauge("apex_open_streams", self.pipeline.open_streams)
        self.metrics.gauge("apex_snapshot_age_seconds", self.holder.freshness.age_s)
        self.metrics.gauge("apex_snapshot_number", self.holder.live.snapshot.number)
        for name, breaker in self.pipeline.upstream.breakers.by_upstream.items():
            self.metrics.gauge("apex_upstream_breaker_open", float(breaker.is_open), (name,))
        self.load_translations()
        self.sharing.tick()
        self.flush()

    def flush(self) -> None:
        """Put what was counted on disk."""
        written = self.writer.written_bytes
        self.metrics.count("apex_log_bytes_total", (), written - self.logged_bytes)
        self.logged_bytes = written
        self.cache.report()
        with suppress(OSError):
            self.metrics.flush()

    def load_translations(self) -> None:
        """Open litellm's door on a thread, once a snapshot declares an upstream that needs it."""
        if self.holder.live.needs_litellm and not self._is_loading:
            self._is_loading = True
            self.tasks.start(asyncio.to_thread(litellm_door.load), "load litellm")

    async def tick_forever(self) -> None:
        """Tick until cancelled; without the bus look at the disk each second, else each minute."""
        count = 0
        while True:
            self.tick()
            if self.unmetered.is_full:
                with suppress(OSError):
                    await asyncio.to_thread(self.unmetered.recount)
            count += 1
            if count % 60 == 0 or not self.bus.is_connected:
                self.has_news.set()
            await asyncio.sleep(TICK_S)

    async def drain(self, drain_s: float) -> None:
        """Wait for open requests to end, at most `drain_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self.gate.wait_idle()

    async def close(self) -> None:
        """Give everything back; the log last."""
        await self.sharing.close()
        await self.tasks.stop()
        await self.client.close()
        await self.resource_client.close()
        self.ownership.close()
        self.flush()
        self.writer.close()


async def run_proxy(
    settings: Settings,
    index: int,
    sock: socket.socket,
    stop: asyncio.Event,
    clock: Clock | None = None,
) -> None:
    """Serve until `stop` is set, then drain; raises ConfigError without a usable snapshot."""
    process = ProxyProcess(settings, index, clock or Clock.of(settings))
    await process.sharing.start(process.cache.forget)
    process.tick()
    limits = process.holder.live.snapshot.limits
    app = build_app(
        process.pipeline, process.relay, process.realtime, process.health, limits.max_body_bytes
    )
    # Cancellation tells a handler that its caller left; without it abandoned streams run on.
    runner = DirectRunner(
        app, direct_answerers(process.pipeline), handle_signals=False, access_log=None,
        handler_cancellation=True, shutdown_timeout=1.0, keepalive_timeout=75.0,
    )  # fmt: skip
    await runner.setup()
    site = web.SockSite(runner, sock, backlog=BACKLOG)
    await site.start()
    process.tasks.start(process.bus.run(), "bus")
    process.tasks.start(process.tick_forever(), "tick")
    process.tasks.start(process.refresh_forever(), "snapshot")
    tune_gc()
    logger.info("proxy %d serves on %s", index, site.name)
    await stop.wait()
    process.health.is_draining = process.admission.is_draining = True
    await site.stop()
    await process.drain(limits.drain_s)
    await runner.cleanup()
    await process.close()


def tune_gc() -> None:
    """Keep long-lived objects out of collections: it steadies the slowest answers."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
