"""What a call cost, for headers and receipts: provisional, the ledger is the truth.

Called by the replies. The same calculator as the ledger's, on the same price book.
"""

from ledger.events import AttemptEnd
from ledger.rating import cost_picousd
from proxy.context import RequestContext
from proxy.recorder import buckets_of

PICO = 1_000_000_000_000
SERVED_FREE = frozenset({"hit", "coalesced"})


def cost_headers(ctx: RequestContext, end: AttemptEnd) -> dict[str, str]:
    """Return x-apex-cost-usd and x-apex-gross-baseline-usd, each only where it is known."""
    headers: dict[str, str] = {}
    actual = 0 if ctx.cache in SERVED_FREE else actual_picousd(ctx, end)
    if actual is not None:
        headers["x-apex-cost-usd"] = usd(actual)
    baseline = baseline_picousd(ctx, end)
    if baseline is not None:
        headers["x-apex-gross-baseline-usd"] = usd(baseline)
    return headers


def actual_picousd(ctx: RequestContext, end: AttemptEnd) -> int | None:
    """Price the usage at what served it; None when usage or price is unknown."""
    return _price(ctx, end, (end.upstream, end.upstream_kind, end.upstream_host, end.served_model))


def baseline_picousd(ctx: RequestContext, end: AttemptEnd) -> int | None:
    """Price the same usage at what was asked for; None when usage or price is unknown."""
    asked = (end.baseline_upstream, end.baseline_upstream_kind, end.baseline_host)
    return _price(ctx, end, (*asked, end.baseline_model))


def _price(ctx: RequestContext, end: AttemptEnd, what: tuple[str, str, str, str]) -> int | None:
    buckets = buckets_of(end)
    if buckets is None:
        return None
    price = ctx.live.book.quote(*what).price
    return None if price is None else cost_picousd(buckets, price)


def usd(picousd: int) -> str:
    """Write an amount of pico-USD as plain decimal dollars, exactly."""
    whole, rest = divmod(picousd, PICO)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".") if rest else str(whole)
