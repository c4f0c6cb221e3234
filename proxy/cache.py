"""The exact cache and coalescing of one proxy process, by the plan `decide` made.

Called by pipeline.py. Keys are HMACs under the tenant's own key over everything but transport
fields (optimizer.caching), so no tenant can reach another's answers. The engine is bounded by
bytes (storage.memory_cache). Behind it may be a second level that processes share; flights are
each process's own.
"""

from collections.abc import Iterable

from config.clock import Clock
from config.metrics import Metrics
from optimizer.decision import CachePlan
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.flights import Flights
from proxy.shared_store import SharedStore
from storage.memory_cache import ByteBoundedCache

# A follower whose leader failed tries once more to lead or follow before it goes on its own.
MOST_JOINS = 2


class AnswerCache:
    """Stored answers and flights in the air."""

    def __init__(
        self,
        store: ByteBoundedCache,
        clock: Clock,
        metrics: Metrics,
        shared: SharedStore | None = None,
    ) -> None:
        self._store = store
        self._shared = shared
        self._flights = Flights()
        self._clock = clock
        self._metrics = metrics
        self._purges = 0

    async def find(self, ctx: RequestContext, plan: CachePlan) -> StoredAnswer | None:
        """Return a stored answer or one that lands meanwhile; sets the request's cache outcome.

        When it returns None the request may have become the leader of a flight: whatever happens
        then, the caller must call `land`.
        """
        if not plan.reads:
            self.skip(ctx, plan)
            return None
        ctx.cache_reason = plan.reason
        ctx.purges_seen = self._purges
        ctx.cache = "miss"
        for _ in range(MOST_JOINS):
            answer = self._read(ctx, plan)
            if answer is not None:
                return answer
            if not plan.joins_flights or self._flights.lead(self._name(ctx)):
                ctx.leads_flight = plan.joins_flights
                return await self._fetch(ctx, plan)
            try:
                answer = await self._follow(ctx)
            except TimeoutError:
                return None
            if answer is not None:
                return answer
        return None

    def peek(self, ctx: RequestContext, plan: CachePlan) -> StoredAnswer | None:
        """Return a stored answer without waiting for one, or leading a flight."""
        if not plan.reads:
            return None
        ctx.cache_reason = plan.reason
        return self._read(ctx, plan)

    def skip(self, ctx: RequestContext, plan: CachePlan) -> None:
        """Note that nothing is looked for; the answer may be kept all the same."""
        ctx.cache_reason = plan.reason
        ctx.purges_seen = self._purges
        ctx.cache = "bypass"

    def land(self, ctx: RequestContext, plan: CachePlan, answer: StoredAnswer | None) -> None:
        """Keep a good answer, and end the flight if this request leads one."""
        if answer is not None and plan.writes:
            self.keep(ctx, answer, plan.ttl_s)
        if ctx.leads_flight:
            ctx.leads_flight = False
            self._flights.land(self._name(ctx), answer)

    def keep(self, ctx: RequestContext, answer: StoredAnswer, ttl_s: float) -> None:
        """Store a complete answer, unless it is too large or was asked for before a purge."""
        is_small = answer.size_bytes <= ctx.live.snapshot.cache.max_entry_bytes
        if is_small and ctx.purges_seen == self._purges:
            self._store.set(self._name(ctx), answer, answer.size_bytes, ttl_s)
            if self._shared is not None:
                self._shared.keep(ctx, answer, ttl_s)

    def purge(self, tenant: str | None, tenants: Iterable[str] = ()) -> int:
        """Forget the answers of a tenant, or all `tenants`; returns how many were in memory."""
        if self._shared is not None:
            self._shared.purge([tenant] if tenant is not None else tenants)
        return self.forget(tenant)

    def forget(self, tenant: str | None = None) -> int:
        """Empty this process's memory alone, of one tenant or all; returns how many there were."""
        self._purges += 1
        return self._store.purge(None if tenant is None else f"{tenant}/")

    def report(self) -> None:
        """Put the sizes into the metrics."""
        self._metrics.gauge("apex_cache_bytes", self._store.bytes)
        self._metrics.gauge("apex_cache_entries", self._store.entries)

    def _name(self, ctx: RequestContext) -> str:
        if ctx.key is None:
            raise RuntimeError("a cache key needs a tenant")
        return f"{ctx.key.tenant}/{ctx.request_key}"

    async def _fetch(self, ctx: RequestContext, plan: CachePlan) -> StoredAnswer | None:
        """Look where all processes keep theirs; what is found there is kept here, too."""
        if self._shared is None:
            return None
        found = await self._shared.fetch(ctx)
        if found is None or ctx.purges_seen != self._purges:
            return None
        answer, left_s = found
        self._store.set(self._name(ctx), answer, answer.size_bytes, left_s)
        return self._read(ctx, plan)

    def _read(self, ctx: RequestContext, plan: CachePlan) -> StoredAnswer | None:
        answer: StoredAnswer | None = self._store.get(self._name(ctx))
        if answer is None:
            return None
        age_s = self._clock.monotonic() - answer.stored_at
        if plan.max_age_s is not None and age_s > plan.max_age_s:
            return None
        ctx.cache = "hit"
        self._metrics.count("apex_cache_hits_total", (answer.form,))
        return answer

    async def _follow(self, ctx: RequestContext) -> StoredAnswer | None:
        """Wait for the answer of an identical request in the air; raises TimeoutError."""
        patience_s = min(
            ctx.live.snapshot.cache.coalesce_wait_s, ctx.deadline - self._clock.monotonic()
        )
        answer = await self._flights.follow(self._name(ctx), patience_s)
        if answer is not None:
            ctx.cache = "coalesced"
            self._metrics.count("apex_coalesced_total")
        return answer
