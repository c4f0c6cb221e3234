"""What is paid by the piece: searches, sessions, images, seconds, characters (pure).

Called by ledger.end_rating. A unit's name may go into detail behind colons, from the general to
the particular (`image:1024x1024:high`), and so may the book's.
"""

from collections.abc import Mapping

from ledger.rating import PriceState, Quote

# Units that measure what token counts measure too: a model that reports tokens is paid by them.
FEE = "requests"
MEASURES = ("image", "audio_input_ms", "audio_output_ms", "characters")


def charged_units(units: Mapping[str, int], quote: Quote, *, has_tokens: bool) -> dict[str, int]:
    """The units that are paid beside the tokens; nothing is paid for twice.

    A model with a fee for every request owes it whatever else was counted.
    """
    fee = {FEE: 1} if FEE in quote.units else {}
    return fee | {
        unit: count
        for unit, count in units.items()
        if count and not (has_tokens and unit.partition(":")[0] in MEASURES)
    }


def unit_price(prices: Mapping[str, int], unit: str) -> tuple[int, str] | None:
    """Pico-USD a unit and the book's name that it is from; None when nothing fits.

    The most particular name that fits wins. Where the book lists only particulars that the
    attempt does not tell, it is the dearest of them.
    """
    parts = unit.split(":")
    for length in range(len(parts), 0, -1):
        name = ":".join(parts[:length])
        if name in prices:
            return prices[name], name
    within = [name for name in prices if name.startswith(f"{unit}:")]
    if not within:
        return None
    name = max(within, key=lambda name: prices[name])
    return prices[name], name


def units_cost(
    units: Mapping[str, int], quotes: tuple[Quote, ...]
) -> tuple[int, PriceState] | None:
    """The exact sum of units x price and its state; None when one has no price anywhere.

    The first quote that prices a unit pays for it: the model's own, then its provider's.
    """
    cost, state = 0, PriceState.agreed
    for unit, count in units.items():
        found = next(filter(None, (_priced(quote, unit) for quote in quotes)), None)
        if found is None:
            return None
        cost += count * found[0]
        if not found[1]:
            state = PriceState.disputed
    return cost, state


def _priced(quote: Quote, unit: str) -> tuple[int, bool] | None:
    found = unit_price(quote.units, unit)
    if found is None:
        return None
    amount, name = found
    # A price of more particulars than the attempt tells is a guess, if the safe one.
    return amount, name in quote.agreed_units and len(name) <= len(unit)
