"""/admin/v1/cache: what the exact cache of the proxies holds, and how it is emptied."""

import asyncio

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route, Strict, unknown_tenant
from admin_api.changes import change
from admin_api.errors import AdminError
from admin_api.permissions import Permission
from config.errors import suggest
from config.metrics import sum_metrics

PURGE_TIMEOUT_S = 2.0


class PurgeQuery(Strict):
    """Whose entries; those who have a part in several tenants say it here."""

    tenant: str = Field(default="", max_length=64, description="Only this tenant's entries.")


class Purge(Strict):
    """Whose entries; nobody's in particular: all that the caller may empty."""

    tenant: str | None = Field(default=None, max_length=64)


class Purged(BaseModel):
    """What came of it."""

    removed: int = Field(description="Entries.")
    proxies: int = Field(description="Proxies that answered in time.")
    proxies_connected: int


class CacheFigures(BaseModel):
    """The exact cache of all proxies together; `requests` counts answers by their way."""

    entries: int
    bytes: int
    max_bytes_per_proxy: int
    proxies_connected: int
    hits: dict[str, int] = Field(description="Answers from the cache, by kind of cache.")
    requests: dict[str, int] = Field(description="Answers by cache: hit, miss, bypass ...")


async def show_cache(call: Call) -> Answer:
    """Figures of all tenants: for the operator."""
    context = call.context
    totals = await asyncio.to_thread(sum_metrics, context.metrics)
    by_cache: dict[str, int] = {}
    for labels, count in totals.counters.get("apex_requests_total", {}).items():
        by_cache[labels[2]] = by_cache.get(labels[2], 0) + int(count)
    hits = totals.counters.get("apex_cache_hits_total", {})
    figures = CacheFigures(
        entries=int(sum(totals.gauges.get("apex_cache_entries", {}).values())),
        bytes=int(sum(totals.gauges.get("apex_cache_bytes", {}).values())),
        max_bytes_per_proxy=context.snapshot().cache.max_bytes,
        proxies_connected=len(context.bus.proxies),
        hits={labels[0]: int(count) for labels, count in hits.items()},
        requests=by_cache,
    )
    return Answer(figures)


async def purge_cache(call: Call) -> Answer:
    """Every proxy drops all entries, or those of one tenant."""
    bus, tenant = call.context.bus, _tenant_of(call)
    async with change(call, "cache.purge", f"cache/{tenant or ''}", is_in_snapshot=False) as purge:
        connected = len(bus.proxies)
        removed, answered = await bus.purge(tenant, PURGE_TIMEOUT_S)
        purged = Purged(removed=removed, proxies=answered, proxies_connected=connected)
        purge.after = purged.model_dump()
    return Answer(purged)


def _tenant_of(call: Call) -> str | None:
    """Nobody but the operator names another tenant than the call is about. AdminError 404."""
    named = call.body.tenant
    if named is not None and call.tenant not in (None, named):
        raise unknown_tenant(named)
    tenant: str | None = named if named is not None else call.tenant
    known = call.context.tenants()
    if tenant is not None and tenant not in known:
        hint = suggest(tenant, known) if call.actor.is_operator else "leave the tenant out"
        raise AdminError(404, "unknown_tenant", f"there is no tenant {tenant!r}", hint)
    return tenant


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/cache", show_cache, P.operate, "Show what the cache holds",
          answer=CacheFigures),
    Route("POST", "/admin/v1/cache/purge", purge_cache, P.cache_purge, "Empty the cache",
          query=PurgeQuery, body=Purge, answer=Purged, is_body_optional=True),
)  # fmt: skip
