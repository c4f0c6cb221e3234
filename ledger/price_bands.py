"""Which band of a model's prices holds for one attempt: by tier, threshold and region (pure).

Called by ledger.price_book. A band's threshold selects: above it the whole request is paid at the
band's prices. Where the book does not list what was served, the dearest fitting prices are used
and the quote is disputed: doubt never makes a cost lower.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from config.prices.document import REGIONAL, STANDARD, entry_state
from ledger.rating import Price, PriceState, Quote, dearest

PRIORITY = "priority"
FAST = "fast"
_KNOWN_WORDS = {
    **dict.fromkeys(
        ("", STANDARD, "default", "auto", "standard_only", "on_demand", "not_applicable"), STANDARD
    ),
    **{word: word for word in ("batch", "flex", PRIORITY, FAST)},
    "on_demand_priority": PRIORITY,
    "on_demand_flex": "flex",
}
_NOT_REGIONAL = frozenset({"", "global"})
_OVERRIDE = "declared by the operator"


class Service(NamedTuple):
    """How an attempt was served. No tier at all means: a word nobody here knows.

    With several tiers any of them may have been served. `input_tokens` is the total, cached ones
    included; `region` is the upstream's, empty for none.
    """

    tiers: tuple[str, ...] = (STANDARD,)
    input_tokens: int = 0
    region: str = ""


AS_USUAL = Service()


def tiers_of(served: str, requested: str = "") -> tuple[str, ...]:
    """The tiers that may have been served, by the words of the answer and of the request.

    The answer's word decides. Without one, a special tier that was asked for may or may not have
    been served. Empty for a word that is not known.
    """
    if served:
        known = _KNOWN_WORDS.get(served.lower())
        return () if known is None else (known,)
    asked = _KNOWN_WORDS.get(requested.lower(), STANDARD)
    return (STANDARD,) if asked == STANDARD else (STANDARD, asked)


class Band(NamedTuple):
    """One set of prices of the document, parsed."""

    tier: str
    above: int
    region: str
    price: Price
    state: PriceState
    agreed: frozenset[str]
    reason: str


class QuoteLadder:
    """The quotes of one service by its input tokens: they change at the thresholds only."""

    __slots__ = ("_quote_at", "_quotes", "_thresholds")

    def __init__(self, quote_at: Callable[[int], Quote], thresholds: Sequence[int] = ()) -> None:
        """`quote_at` is asked once for each step; `thresholds` are ascending."""
        self._quote_at = quote_at
        self._thresholds = thresholds
        self._quotes: list[Quote | None] = [None] * (len(thresholds) + 1)

    def quote(self, input_tokens: int) -> Quote:
        """The prices that hold for so many tokens."""
        step = bisect_left(self._thresholds, input_tokens)  # a threshold must be exceeded
        quote = self._quotes[step]
        if quote is None:
            quote = self._quotes[step] = self._quote_at(input_tokens)
        return quote


class BandedPrice:
    """All bands of one entry of the book; quotes are made once for each choice of bands."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._bands = [_read_band(band) for band in entry.get("bands", ())]
        self._regions = {band.region for band in self._bands}
        self._units = _read_units(entry.get("units", {}))
        self._citation = entry.get("citation", "")
        self._by_unit = Quote(
            PriceState(entry_state(entry)), None, "book", reason="priced by unit", **self._units
        )
        self._quotes: dict[tuple[tuple[int, ...], str], Quote] = {}

    def quote(self, service: Service) -> Quote:
        """The prices that hold for this service; without bands those per unit alone."""
        if not self._bands:
            return self._by_unit
        region, doubt = self._region_of(service.region)
        bands = [place for place, band in enumerate(self._bands) if band.region == region]
        picks: list[int] = []
        for tier in service.tiers or {self._bands[place].tier: None for place in bands}:
            found, why = self._pick(bands, tier, service.input_tokens)
            picks += found
            doubt = doubt or why
        if len(service.tiers) != 1:
            doubt = doubt or "the tier that was served is not known; the dearest is used"
        return self._quote(tuple(dict.fromkeys(picks)), doubt)

    def ladder(self, service: Service) -> QuoteLadder:
        """The prices of this service for any number of input tokens."""
        thresholds = sorted({band.above for band in self._bands if band.above})
        return QuoteLadder(
            lambda tokens: self.quote(service._replace(input_tokens=tokens)), thresholds
        )

    def _region_of(self, region: str) -> tuple[str, str]:
        """The region to look under, and a doubt where others are listed and this one is not."""
        if region in self._regions:
            return region, ""
        if region in _NOT_REGIONAL or self._regions == {""}:
            return "", ""
        if REGIONAL in self._regions:
            return REGIONAL, ""
        return "", f"no price is listed for region {region}"

    def _pick(self, bands: Sequence[int], tier: str, tokens: int) -> tuple[list[int], str]:
        plain = self._highest(bands, STANDARD, tokens)
        own = self._highest(bands, tier, tokens)
        if own is None and tier == FAST:
            own = self._highest(bands, PRIORITY, tokens)
        if plain is None or own is None:
            found = [place for place in (own, plain) if place is not None]
            return found or [0], f"no {tier} price is listed"
        if self._bands[own].above < self._bands[plain].above:
            above = self._bands[plain].above
            return [own, plain], f"no {tier} price is listed above {above} input tokens"
        return [own], ""

    def _highest(self, bands: Sequence[int], tier: str, tokens: int) -> int | None:
        """The band of this tier with the highest threshold that the tokens exceed."""
        fitting = (
            place
            for place in bands
            if self._bands[place].tier == tier
            and (tokens > self._bands[place].above or not self._bands[place].above)
        )
        return max(fitting, key=lambda place: self._bands[place].above, default=None)

    def _quote(self, picks: tuple[int, ...], doubt: str) -> Quote:
        quote = self._quotes.get((picks, doubt))
        if quote is None:
            if len(self._quotes) >= 64:  # doubts name regions, which the operator writes
                self._quotes.clear()
            quote = self._quotes[picks, doubt] = self._build(picks, doubt)
        return quote

    def _build(self, picks: tuple[int, ...], doubt: str) -> Quote:
        bands = [self._bands[place] for place in picks]
        reason = "; ".join(dict.fromkeys(filter(None, (doubt, *(band.reason for band in bands)))))
        if not doubt and len(bands) == 1:
            state, agreed = bands[0].state, bands[0].agreed
        else:
            state, agreed = PriceState.disputed, frozenset[str]()
        if self._citation:
            reason = "; ".join(filter(None, (reason, f"reviewed, citing {self._citation}")))
        price = dearest([band.price for band in bands])
        return Quote(state, price, "book", agreed, reason, **self._units)


def override_quote(entry: Mapping[str, Any]) -> Quote:
    """The operator's own price: agreed with a citation of where it is from, disputed without."""
    price, citation = Price(**entry["price"]), entry.get("citation", "")
    if citation:
        agreed = frozenset(entry["price"])
        return Quote(PriceState.agreed, price, "override", agreed, f"{_OVERRIDE} {citation}")
    return Quote(PriceState.disputed, price, "override", reason=f"{_OVERRIDE} without a citation")


def _read_band(band: Mapping[str, Any]) -> Band:
    state = PriceState(band["state"])
    disputed = set(band.get("disputed", band["price"] if state is PriceState.disputed else ()))
    return Band(
        tier=band.get("tier", STANDARD),
        above=band.get("above_input_tokens", 0),
        region=band.get("region", ""),
        price=Price(**band["price"]),
        state=state,
        agreed=frozenset(band["price"].keys() - disputed),
        reason=band.get("reason", ""),
    )


def _read_units(units: Mapping[str, Any]) -> dict[str, Any]:
    if not units:
        return {}
    return {
        "units": {unit: stated["picousd"] for unit, stated in units.items()},
        "agreed_units": frozenset(
            unit for unit, stated in units.items() if stated["state"] == PriceState.agreed
        ),
    }
