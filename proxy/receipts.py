"""What a call cost, for headers and receipts: provisional, the ledger is the truth.

Called by the replies. The same calculator as the ledger's, on the same price book.
"""

from ledger.amounts import usd_text
from ledger.end_rating import rate_end
from ledger.events import AttemptEnd
from proxy.context import RequestContext


def cost_headers(ctx: RequestContext, end: AttemptEnd) -> dict[str, str]:
    """Return x-apex-cost-usd and x-apex-gross-baseline-usd, each only where it is known."""
    return {name: amount for name, amount in _amounts(ctx, end).items() if amount is not None}


def receipt(ctx: RequestContext, end: AttemptEnd) -> dict[str, str]:
    """Return both amounts for a stream's receipt, "unknown" where one is."""
    return {name: amount or "unknown" for name, amount in _amounts(ctx, end).items()}


def _amounts(ctx: RequestContext, end: AttemptEnd) -> dict[str, str | None]:
    rated = rate_end(ctx.live.book, vars(end) | {"is_final": True})
    amounts = {
        "x-apex-cost-usd": rated.cost.picousd,
        "x-apex-gross-baseline-usd": rated.gross_baseline.picousd,
    }
    return {name: None if amount is None else usd_text(amount) for name, amount in amounts.items()}
