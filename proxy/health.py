"""What a proxy says about itself: alive, ready, and the state of what it depends on.

Called by routes.py. A proxy without its control process is degraded and still ready: it serves
from its snapshot and its log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.metrics import Metrics
from proxy.live import SnapshotHolder
from proxy.providers.litellm_door import is_loaded
from proxy.upstream import UpstreamCaller


@dataclass(slots=True)
class ProxyHealth:
    """The facts health is read from; `is_draining` is set by role.py at a stop."""

    holder: SnapshotHolder
    upstream: UpstreamCaller
    metrics: Metrics
    metrics_directory: Path
    is_bus_connected: Callable[[], bool]
    log_failures: Callable[[], int]
    is_kv_away: Callable[[], bool]
    is_draining: bool = False

    def live_document(self) -> dict[str, Any]:
        """Describe liveness."""
        return {"status": "ok", "role": "proxy"}

    def ready_document(self) -> tuple[int, dict[str, Any]]:
        """Describe readiness: 200 while requests are served, 503 once draining."""
        snapshot = self.holder.live.snapshot
        breakers = self.upstream.breakers.by_upstream
        open_breakers = sorted(
            name
            for name, breaker in breakers.items()
            if breaker.is_open and name in snapshot.upstreams
        )
        is_degraded = not self.is_bus_connected() or bool(open_breakers) or self.is_kv_away()
        is_closed = self.holder.live.is_closed
        is_loading = self.holder.live.needs_litellm and not is_loaded()
        status = "degraded" if is_degraded else "ok"
        if self.is_draining or is_loading or is_closed:
            status = "draining" if self.is_draining else "loading" if is_loading else "stale"
        age_s = round(self.holder.clock.now() - snapshot.built_at, 1)
        confirmed_s = round(self.holder.freshness.age_s, 1)
        return (503 if self.is_draining or is_loading or is_closed else 200), {
            "status": status,
            "dependencies": {
                "snapshot": {"status": "stale" if is_closed else "ok", "number": snapshot.number,
                             "age_s": age_s, "confirmed_s_ago": confirmed_s},
                "control": {"status": "ok" if self.is_bus_connected() else "away"},
                "kv": {"status": "away" if self.is_kv_away() else "ok"},
                "usage_log": {"status": "ok", "write_failures": self.log_failures()},
                "translations": {"status": "loading" if is_loading else "ok"},
                "upstreams": {"status": "degraded" if open_breakers else "ok",
                              "open_breakers": open_breakers},
            },
        }  # fmt: skip
