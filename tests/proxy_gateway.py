"""A proxy process inside the test: the real data plane on a real socket, without a control plane.

Used by tests of proxy/ that script upstreams. The snapshot is made here, the usage log is read
back from the segments; nothing of the product is replaced.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from config.clock import Clock
from config.operator import CacheConfig, Limits, Timeouts
from config.prices.document import BOOK_PATH, read_document
from config.secrets import load_key_ring
from config.settings import load_settings
from ledger.price_book import build_effective_book, write_price_book
from ledger.rating import Price
from ledger.segment_reader import read_segment
from policies.keys import key_hmac
from policies.limits import NO_LIMITS, UsageLimits
from policies.model import Policy
from policies.snapshot import (
    KeyRecord,
    ProjectRecord,
    Snapshot,
    Target,
    TenantRecord,
    Upstream,
    index_by_hmac,
    write_snapshot_file,
)
from policies.versions import load_policy
from proxy.role import run_proxy
from tests.gateway import wait_until
from tests.policies.samples import SIGNER

API_KEY = "a-test-key-of-more-than-thirty-two-characters"
OTHER_KEY = "another-test-key-of-more-than-32-characters"


def local_upstream(name: str, base_url: str, **changes: Any) -> Upstream:
    """Describe an OpenAI-compatible server on this machine."""
    fields: dict[str, Any] = {
        "name": name,
        "kind": "openai",
        "base_url": base_url,
        "api_key": "sk-upstream-secret",
        "allow_private": True,
        "region": "",
        "stream_usage": True,
        "is_simulated": False,
    }
    return Upstream(**fields | changes)


@dataclass(frozen=True, slots=True)
class Governed:
    """What limits acme, its project `web` and its key; `prices` by upstream and model."""

    key: UsageLimits = NO_LIMITS
    project: UsageLimits = NO_LIMITS
    tenant: UsageLimits = NO_LIMITS
    output_tokens_cap: int | None = None
    prices: Mapping[tuple[str, str], Price] = field(default_factory=dict)


class ProxyGateway:
    """`async with ProxyGateway(tmp_path, {...}) as gateway:` serves at `gateway.base_url`."""

    def __init__(
        self,
        directory: Path,
        upstreams: dict[str, Upstream],
        *,
        models: Mapping[str, tuple[Target, ...]] | None = None,
        policy: Policy | str = "passthrough",
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        cache: CacheConfig | None = None,
        send_buffer_bytes: int = 0,
        default_upstream: str | None = None,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        governed: Governed | None = None,
    ) -> None:
        self.home = directory / "home"
        self.settings = load_settings({"APEX_HOME": str(self.home), **(environ or {})})
        self._governed = governed or Governed()
        self._parts = (timeouts or Timeouts(), limits or Limits(), cache or CacheConfig())
        self._upstreams = upstreams
        first = next(iter(upstreams))
        self._models = dict(models or {}) or {"gpt-4o-mini": (Target(first, "gpt-4o-mini"),)}
        self._policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self._send_buffer_bytes = send_buffer_bytes
        self._default_upstream = default_upstream
        self._clock = clock
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        self.write_snapshot(1)
        sock = socket.create_server(("127.0.0.1", 0))
        if self._send_buffer_bytes:  # what is accepted inherits it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer_bytes)
        port = sock.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        # The test's own task group would hide the proxy's errors until the end.
        self._task = asyncio.get_running_loop().create_task(
            run_proxy(self.settings, 0, sock, self._stop, self._clock)
        )
        await wait_until(lambda: _answers(port, self._task))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.begin_stop()
        await self.wait_for_end()

    def begin_stop(self) -> None:
        """Ask the proxy to drain and to end, as SIGTERM does."""
        self._stop.set()

    async def wait_for_end(self) -> None:
        """Wait until the proxy has ended; raises what it failed with."""
        if self._task is not None:
            await self._task

    @property
    def port(self) -> int:
        return int(self.base_url.removesuffix("/v1").rpartition(":")[2])

    def write_snapshot(self, number: int, **changes: Any) -> None:
        """Seal a snapshot the way the control process does; `changes` are fields of Snapshot."""
        self.home.mkdir(parents=True, exist_ok=True)
        key_ring, governed = load_key_ring(self.settings), self._governed
        document = build_effective_book(read_document(BOOK_PATH), governed.prices)
        book_hash = write_price_book(document, self.home / "price-books")
        pepper = key_ring.pepper()
        keys = {
            name: KeyRecord(name, tenant, name, key_hmac(pepper, secret), {"team": tenant})
            for name, tenant, secret in (("app", "acme", API_KEY), ("web", "globex", OTHER_KEY))
        }
        keys["app"] = replace(
            keys["app"],
            project="web",
            limits=governed.key,
            output_tokens_cap=governed.output_tokens_cap,
        )
        timeouts, limits, cache = self._parts
        snapshot = Snapshot(
            number=number,
            built_at=1_700_000_000.0,
            environment="development",
            upstreams=self._upstreams,
            default_upstream=self._default_upstream,
            models=self._models,
            keys_by_id=keys,
            keys_by_hmac=index_by_hmac(keys),
            tenants={
                tenant: TenantRecord(
                    tenant, self._policy.revision, None, is_demo=False, limits=limits_of_tenant
                )
                for tenant, limits_of_tenant in (("acme", governed.tenant), ("globex", NO_LIMITS))
            },
            projects={("acme", "web"): ProjectRecord("acme", "web", {}, governed.project)},
            policies={self._policy.revision: self._policy},
            timeouts=timeouts,
            limits=limits,
            cache=cache,
            price_book=book_hash,
        )
        changed = replace(snapshot, **changes)
        write_snapshot_file(self.home / "snapshot.sealed", changed, key_ring, SIGNER)

    def events(self) -> list[dict[str, Any]]:
        """Return every usage event in the log, in order of writing."""
        return [
            orjson.loads(record.payload)
            for path in sorted((self.home / "segments").glob("*/*.seg"))
            for record in read_segment(path, 0)
        ]

    def ends(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """Return the END events, of one request or all."""
        return [
            event
            for event in self.events()
            if event["kind"] == "end" and request_id in {None, event["request_id"]}
        ]

    def check_conservation(self) -> None:
        """Assert that every START has one END and every request one final END."""
        events = self.events()
        starts = [(e["request_id"], e["attempt"]) for e in events if e["kind"] == "start"]
        ends = [(e["request_id"], e["attempt"]) for e in events if e["kind"] == "end"]
        finals = [e["request_id"] for e in events if e["kind"] == "end" and e["is_final"]]
        assert sorted(starts) == sorted(ends)
        assert sorted(finals) == sorted({request_id for request_id, _ in starts})


async def _answers(port: int, task: asyncio.Task[None] | None) -> bool:
    if task is not None and task.done():
        task.result()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
