"""What a request may cost at most, before it is dispatched: the dearest of what was decided (pure).

Called by the governor. Three bytes a token is fewer than any tokenizer makes of plain text, so
that what is reserved is rarely passed; what was used is put right when the answer has ended.
"""

from typing import Any, NamedTuple

from ledger.price_bands import Service, tiers_of
from ledger.price_book import PriceBook, declared_price
from ledger.price_hosts import providers_for
from ledger.rating import Price
from ledger.unit_rating import charged_units, units_cost
from policies.snapshot import Target
from proxy.context import RequestContext
from proxy.live import Place
from proxy.resources.billing import image_unit, is_billed

BYTES_A_TOKEN = 3
DEFAULT_OUTPUT_TOKENS = 4096  # where neither request, key nor price book names a maximum
LARGEST_N = 128
MOST_KNOWN = 1024


class Estimate(NamedTuple):
    """An upper bound; `picousd` is None where a price is unknown."""

    tokens: int
    picousd: int | None


NOTHING = Estimate(0, 0)


class Estimator:
    """Estimates of one process; remembers what the price books say of models' limits."""

    def __init__(self) -> None:
        self._limits: dict[tuple[str, str, str, str], tuple[int | None, int | None]] = {}

    def estimate(self, ctx: RequestContext, output_cap: int | None) -> Estimate:
        """The bound for a request whose targets are known."""
        if ctx.dialect.is_free:
            return NOTHING
        bounds = [self._bound(ctx, target, output_cap) for target in ctx.targets]
        tokens = max((bound.tokens for bound in bounds), default=0)
        costs = [bound.picousd for bound in bounds]
        known = [cost for cost in costs if cost is not None]
        return Estimate(tokens, max(known, default=0) if len(known) == len(costs) else None)

    def estimate_session(
        self, ctx: RequestContext, target: Target, output_cap: int | None
    ) -> int | None:
        """The bound for one response of a realtime session."""
        place, output = ctx.live.places[target.upstream], output_cap or DEFAULT_OUTPUT_TOKENS
        price = _quoted(ctx, place, target.model, 0)
        if price is None:
            return None
        return output * max(price.output or 0, price.audio_output or 0)

    def estimate_resource(self, ctx: RequestContext, target: Target, path: str) -> int | None:
        """The bound for a call that is no dialect: paid by the piece, or not at all."""
        if not is_billed(ctx.endpoint):
            return 0
        place = ctx.live.places[target.upstream]
        quote = ctx.live.book.quote(place.upstream, place.kind, place.host, target.model)
        units = _asked_units(ctx, path)
        charged = charged_units(units, quote, has_tokens=False)
        cost = units_cost(charged, (quote,)) if charged else None
        return None if cost is None else cost[0]

    def _bound(self, ctx: RequestContext, target: Target, output_cap: int | None) -> Estimate:
        place = ctx.live.places[target.upstream]
        context, most_output = self._limits_of(ctx.live.book, place, target.model)
        asked = -(-len(ctx.body) // BYTES_A_TOKEN)
        given = min(asked, context) if context else asked
        output = _output_tokens(ctx, most_output, output_cap)
        price = _quoted(ctx, place, target.model, given)
        if price is None:
            return Estimate(given + output, None)
        return Estimate(given + output, _cost(ctx, price, given, output))

    def _limits_of(
        self, book: PriceBook, place: Place, model: str
    ) -> tuple[int | None, int | None]:
        """Tokens a model takes and gives, where the book knows."""
        name = (book.hash, place.kind, place.host, model)
        found = self._limits.get(name)
        if found is None:
            if len(self._limits) >= MOST_KNOWN:
                self._limits.clear()
            providers = providers_for(place.kind, place.host)
            known = (book.model_limits(provider, model) for provider in providers)
            limits = next((each for each in known if each is not None), None)
            found = (limits.context, limits.max_output) if limits else (None, None)
            self._limits[name] = found
        return found


def _output_tokens(ctx: RequestContext, most: int | None, cap: int | None) -> int:
    """min(what was asked, what the model can), else what the key is capped at; times n."""
    if ctx.dialect.open_tap is None:  # embeddings and the like give none
        return 0
    tokens = ctx.max_output_tokens or cap or most or DEFAULT_OUTPUT_TOKENS
    decision = ctx.decision
    if decision is not None and decision.clamp_output_tokens:
        tokens = min(tokens, decision.clamp_output_tokens)
    return (min(tokens, most) if most else tokens) * min(ctx.choices_n, LARGEST_N)


def _quoted(ctx: RequestContext, place: Place, model: str, input_tokens: int) -> Price | None:
    """The price by the book, or what the operator has hard budgets reserve where none is known."""
    tier: Any = ctx.doc.get("service_tier", "")
    tiers = tiers_of("", tier if isinstance(tier, str) else "")
    service = Service(tiers, input_tokens, place.region)
    quote = ctx.live.book.quote(place.upstream, place.kind, place.host, model, service)
    if quote.price is not None:
        return quote.price
    declared = ctx.live.snapshot.limits.fallback_price
    return declared_price(declared) if declared is not None else None


def _cost(ctx: RequestContext, price: Price, given: int, output: int) -> int | None:
    """Pico-USD; a prompt that marks what is to be cached may be paid at the price of writing."""
    if price.input is None or (output and price.output is None):
        return None
    rate = price.input
    if b'"cache_control"' in ctx.body:
        rate = max(rate, price.cache_write_5m or 0, price.cache_write_1h or 0)
    spoken = price.audio_output or 0 if "audio" in str(ctx.doc.get("modalities", "")) else 0
    return given * rate + output * max(price.output or 0, price.reasoning or 0, spoken)


def _asked_units(ctx: RequestContext, path: str) -> dict[str, int]:
    if ctx.endpoint == "images":
        n = ctx.doc.get("n", 1)
        is_count = isinstance(n, int) and not isinstance(n, bool) and n > 0
        return {image_unit(ctx.doc): min(n, LARGEST_N) if is_count else 1}
    text = ctx.doc.get("input")
    if path == "audio/speech" and isinstance(text, str):
        return {"characters": len(text)}
    return {}
