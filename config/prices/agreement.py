"""Two sources, one answer: merges what they list of a model and states how far they agree (pure).

Used by config.prices.build. The rule: a price bucket is agreed when both sources list it and
differ by at most 0.5%; anything else is disputed, and then the higher amount is shown and used.
"""

from collections.abc import Mapping
from typing import Any

from config.prices import genai_listing, litellm_listing
from config.prices.document import PRICE_BUCKETS, TIERS
from config.prices.listing import DEFAULT_BUCKETS, BandKey, Listing, Prices

TOLERANCE_PPM = 5_000
ONE_SOURCE = "one source"
_SOURCES = (litellm_listing.NAME, genai_listing.NAME)


def merge_listings(name: str, first: Listing | None, second: Listing | None) -> dict[str, Any]:
    """The book's entry for a model listed by litellm (first), by genai-prices (second) or both."""
    listings = {source: x for source, x in zip(_SOURCES, (first, second), strict=True) if x}
    limits = {key: value for x in reversed(listings.values()) for key, value in x.limits.items()}
    mode = next((x.mode for x in listings.values() if x.mode), "chat")
    varies = any(x.varies_by_time for x in listings.values())
    bands = []
    for key in sorted({key for x in listings.values() for key in x.bands}, key=_band_order):
        stated = {
            source: _comparable(x.bands[key], mode, is_vision=bool(limits.get("vision")))
            for source, x in listings.items()
            if key in x.bands
        }
        bands.append(_merge_band(key, stated, varies))
    names = {source: x.name for source, x in listings.items() if x.name.rpartition("/")[2] != name}
    units = _merge_units({source: x.units for source, x in listings.items()})
    entry = {"limits": limits, "mode": mode, "names": names, "units": units}
    return {"bands": bands, **{key: value for key, value in entry.items() if value}}


def is_within_tolerance(one: int, other: int) -> bool:
    """True when two amounts differ by at most 0.5% of the higher one."""
    return abs(one - other) * 1_000_000 <= TOLERANCE_PPM * max(one, other)


def _band_order(key: BandKey) -> tuple[str, int, int]:
    return key.region, TIERS.index(key.tier), key.above_input_tokens


def _merge_units(stated: Mapping[str, Prices]) -> dict[str, Any]:
    """Each unit by itself: agreed when both sources list it and differ by at most 0.5%."""
    merged: dict[str, Any] = {}
    for unit in sorted({unit for units in stated.values() for unit in units}):
        by_source = {source: units[unit] for source, units in stated.items() if unit in units}
        highest = max(by_source.values())
        is_agreed = len(by_source) > 1 and is_within_tolerance(*by_source.values())
        merged[unit] = {"picousd": highest, "state": "agreed" if is_agreed else "disputed"}
        if not is_agreed or len(set(by_source.values())) > 1:
            merged[unit]["sources"] = by_source
    return merged


def _comparable(prices: Prices, mode: str, *, is_vision: bool) -> Prices:
    """The source's prices with its own defaults written out, so that silence compares as meant."""
    stated = dict(prices)
    if mode == "embedding":
        stated.pop("output", None)  # nothing is generated; sources write 0 or nothing here
    if is_vision or "image_input" in stated:
        stated.setdefault("image_input", stated["input"])
    return stated


def _merge_band(key: BandKey, stated: Mapping[str, Prices], varies: bool) -> dict[str, Any]:
    listed = {bucket for prices in stated.values() for bucket in prices}
    stated = {name: _with_defaults(prices, listed) for name, prices in stated.items()}
    price = {
        bucket: max(prices[bucket] for prices in stated.values() if bucket in prices)
        for bucket in listed
    }
    if price.get("reasoning") == price.get("output"):
        price.pop("reasoning", None)  # the calculator's stand-in says the same
    band: dict[str, Any] = {**key._asdict(), "price": price}
    if not key.region:
        del band["region"]
    return {**band, **_judge(price, stated, varies)}


def _with_defaults(prices: Prices, listed: set[str]) -> Prices:
    filled = dict(prices)
    for bucket, default in DEFAULT_BUCKETS.items():
        if bucket in listed and default in prices:
            filled.setdefault(bucket, prices[default])
    return filled


def _judge(price: Prices, stated: Mapping[str, Prices], varies: bool) -> dict[str, Any]:
    deviations = {
        name: {
            bucket: prices.get(bucket)
            for bucket, amount in price.items()
            if prices.get(bucket) != amount
        }
        for name, prices in stated.items()
    }
    if len(stated) == 1:
        return {"state": "disputed", "reason": ONE_SOURCE, "sources": deviations}
    in_both = set.intersection(*(set(prices) for prices in stated.values()))
    listed = [bucket for bucket in PRICE_BUCKETS if bucket in price]
    single = [bucket for bucket in listed if bucket not in in_both]
    apart = [bucket for bucket in listed if bucket in in_both and not _is_agreed(bucket, stated)]
    verdict: dict[str, Any] = {"state": "agreed"}
    if any(deviations.values()):
        verdict["sources"] = deviations
    if varies or single or apart:
        verdict["state"] = "disputed"
        verdict["disputed"] = sorted(price) if varies else sorted(single + apart)
        verdict["reason"] = _reason(apart, single, varies)
    return verdict


def _is_agreed(bucket: str, stated: Mapping[str, Prices]) -> bool:
    one, other = (prices[bucket] for prices in stated.values())
    return is_within_tolerance(one, other)


def _reason(apart: list[str], single: list[str], varies: bool) -> str:
    reasons = []
    if apart:
        reasons.append(f"sources differ by more than 0.5%: {', '.join(apart)}")
    if single:
        reasons.append(f"listed by one source only: {', '.join(single)}")
    if varies:
        reasons.append("the price varies by time of day, the highest is shown")
    return "; ".join(reasons)
