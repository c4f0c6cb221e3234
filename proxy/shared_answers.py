"""The second level of the exact cache: answers on Redis, which all processes read and fill.

Used by cache.py behind its memory. A question costs one round trip with a deadline; answers are
kept off the path. A purge changes the tenant's mark, which every entry is signed for.
"""

import secrets
from collections.abc import Iterable
from dataclasses import replace

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from proxy.answer_bytes import (
    Entry,
    ForeignEntryError,
    Label,
    PurgedEntryError,
    decode_entry,
    encode_entry,
)
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.governing.census import PURGES_KEY
from storage.kv import Kv, KvUnavailableError

LARGEST_BYTES = 262_144  # what is longer would keep others waiting past their deadline
MOST_PENDING_BYTES = 16_777_216
WRITE_DEADLINE_S = 1.0
MARKS_KEPT_MS = 30 * 86_400_000  # longer than any answer


class SharedAnswers:
    """The answers of one process that it shares with others."""

    def __init__(self, kv: Kv, tasks: TaskOwner, clock: Clock, metrics: Metrics) -> None:
        self._reads = kv.open_channel("cache reads")
        self._writes = kv.open_channel("cache writes", WRITE_DEADLINE_S)
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics
        self._pending_bytes = 0
        self._unpurged: set[str] = set()  # their marks could not be changed yet
        kv.on_return.append(self.sweep)

    async def fetch(self, ctx: RequestContext) -> tuple[StoredAnswer, float] | None:
        """An answer and the seconds it may be kept; None when there is none, or none to be had."""
        tenant = _tenant(ctx)
        if tenant in self._unpurged:
            return None
        try:
            mark, data = await self._reads.ask("MGET", _mark_key(tenant), _entry_key(ctx))
        except KvUnavailableError:
            self._count("away")
            return None
        ctx.purge_mark = mark or b""
        if data is None:
            self._count("miss")
            return None
        try:
            found = decode_entry(data, _label(ctx), self._key(ctx))
        except (ForeignEntryError, PurgedEntryError) as error:
            self._count("purged" if isinstance(error, PurgedEntryError) else "foreign")
            return None
        return self._received(found)

    def keep(self, ctx: RequestContext, answer: StoredAnswer, ttl_s: float) -> None:
        """Keep an answer for all, soon; dropped when too many are on their way."""
        size = answer.size_bytes
        tenant = _tenant(ctx)
        has_room = self._pending_bytes + size <= MOST_PENDING_BYTES
        if size > LARGEST_BYTES or ttl_s <= 0 or not has_room or tenant in self._unpurged:
            return
        self._pending_bytes += size
        self._tasks.start(self._write(ctx, answer, ttl_s, size), "keep an answer")

    def purge(self, tenants: Iterable[str]) -> None:
        """Make all answers of these tenants nobody's, in every process; tried until it is done."""
        self._unpurged |= set(tenants)
        self.sweep()

    def sweep(self) -> None:
        """Change the marks that could not be changed yet."""
        if self._unpurged:
            self._tasks.start(self._change_marks(), "purge")

    async def _change_marks(self) -> None:
        for tenant in sorted(self._unpurged):
            mark = secrets.token_hex(8)
            try:
                await self._writes.ask("SET", _mark_key(tenant), mark, "PX", MARKS_KEPT_MS)
            except KvUnavailableError:
                return
            self._unpurged.discard(tenant)
        try:
            await self._writes.ask("INCR", PURGES_KEY)
        except KvUnavailableError:
            return

    async def _write(
        self, ctx: RequestContext, answer: StoredAnswer, ttl_s: float, size: int
    ) -> None:
        try:
            if ctx.purge_mark is None:
                ctx.purge_mark = await self._writes.ask("GET", _mark_key(_tenant(ctx))) or b""
            now_us = self._clock.now_us()
            entry = Entry(answer, now_us, now_us + int(ttl_s * 1e6))
            data = encode_entry(entry, _label(ctx), self._key(ctx))
            await self._writes.ask("SET", _entry_key(ctx), data, "PX", max(1, int(ttl_s * 1000)))
        except KvUnavailableError:
            return
        finally:
            self._pending_bytes -= size

    def _received(self, found: Entry) -> tuple[StoredAnswer, float] | None:
        now_us = self._clock.now_us()
        left_s = (found.expires_us - now_us) / 1e6
        if left_s <= 0:
            self._count("miss")
            return None
        self._count("hit")
        age_s = max(0.0, (now_us - found.stored_us) / 1e6)
        return replace(found.answer, stored_at=self._clock.monotonic() - age_s), left_s

    def _count(self, answer: str) -> None:
        self._metrics.count("apex_cache_shared_total", (answer,))

    def _key(self, ctx: RequestContext) -> bytes:
        return ctx.live.tenant_keys(_tenant(ctx)).cache_key


def _tenant(ctx: RequestContext) -> str:
    if ctx.key is None:
        raise RuntimeError("an answer needs a tenant")
    return ctx.key.tenant


def _label(ctx: RequestContext) -> Label:
    return Label(_tenant(ctx), ctx.request_key, ctx.purge_mark or b"")


def _entry_key(ctx: RequestContext) -> str:
    return f"apex:{{{_tenant(ctx)}}}:answers:{ctx.request_key}"


def _mark_key(tenant: str) -> str:
    return f"apex:{{{tenant}}}:purged"
