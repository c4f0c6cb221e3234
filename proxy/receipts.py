"""What a call cost, for headers and receipts: provisional, the ledger is the truth.

Called by the replies. The same calculator as the ledger's, on the same price book.
"""

from ledger.amounts import usd_text
from ledger.end_rating import rate_end
from ledger.events import AttemptEnd
from proxy.context import RequestContext

COST = "x-apex-cost-usd"
GROSS_BASELINE = "x-apex-gross-baseline-usd"


def cost_headers(ctx: RequestContext, end: AttemptEnd) -> dict[str, str]:
    """Return x-apex-cost-usd and x-apex-gross-baseline-usd, each only where it is known."""
    cost, baseline = _amounts(ctx, end)
    headers: dict[str, str] = {}
    if cost is not None:
        headers[COST] = cost
    if baseline is not None:
        headers[GROSS_BASELINE] = baseline
    return headers


def receipt(ctx: RequestContext, end: AttemptEnd) -> dict[str, str]:
    """Return both amounts for a stream's receipt, "unknown" where one is."""
    cost, baseline = _amounts(ctx, end)
    return {COST: cost or "unknown", GROSS_BASELINE: baseline or "unknown"}


def _amounts(ctx: RequestContext, end: AttemptEnd) -> tuple[str | None, str | None]:
    """What was paid and what the call as asked would have cost, in dollars; None is unknown."""
    fields = vars(end) if end.is_final else vars(end) | {"is_final": True}
    rated = rate_end(ctx.live.book, fields)
    cost, baseline = rated.cost.picousd, rated.gross_baseline.picousd
    text = None if cost is None else usd_text(cost)
    if baseline == cost:
        return text, text
    return text, None if baseline is None else usd_text(baseline)
