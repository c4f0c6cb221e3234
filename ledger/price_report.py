"""Why a model costs what it costs, as rows of text; used by `python main.py prices explain`."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from config.errors import nearest
from config.prices.document import PRICE_BUCKETS, STANDARD, entry_state
from ledger.amounts import usd_text
from ledger.price_book import PriceBook

AGREED = "both sources agree within 0.5%"
_WIDTH = 16


def explain(book: PriceBook, model: str, public_names: Iterable[str] = ()) -> list[str]:
    """Rows on `model` or `provider/model`: its state, what each source says, and why.

    An unknown model gets near names, `public_names` among them. Prices are USD per million tokens.
    """
    rows = list(_override_rows(book, model))
    header = book.header()
    for provider in book.known_providers():
        entry = book.find_entry(provider, model.removeprefix(f"{provider}/"))
        if entry is not None:
            rows += entry_rows(f"{provider}/{model.removeprefix(f'{provider}/')}", entry, header)
    if not rows:
        return _unknown_rows(book, model, public_names)
    return [*rows, book_line(book)]


def book_line(book: PriceBook) -> str:
    """Which book it was, and of what day."""
    return f"price book {book.hash}, prices of {book.header()['as_of']}"


def entry_rows(title: str, entry: Mapping[str, Any], header: Mapping[str, Any]) -> Iterator[str]:
    """What each source says of one model of one provider."""
    versions = {name: source["version"] for name, source in header["sources"].items()}
    bands = entry["bands"]
    yield f"{title}: {entry_state(entry)} ({_why(entry)})"
    if bands:
        yield from _table(bands[0], versions)
    limits = entry.get("limits", {})
    if limits:
        yield "  limits: " + ", ".join(f"{key} {value}" for key, value in sorted(limits.items()))
    for name, theirs in entry.get("names", {}).items():
        yield f"  {name} lists it as {theirs}"
    for band in bands[1:]:
        yield f"  {condition_text(band)}, {band['state']}: {_amounts(band)}{_because(band)}"
    for unit, stated in entry.get("units", {}).items():
        yield f"  apiece: {unit} {usd_text(stated['picousd'])}, {stated['state']}{_said(stated)}"
    yield ""


def _why(entry: Mapping[str, Any]) -> str:
    if entry.get("citation"):
        return f"reviewed, citing {entry['citation']}"
    if not entry["bands"]:
        return "priced by unit"
    return str(entry["bands"][0].get("reason") or AGREED)


def _because(band: Mapping[str, Any]) -> str:
    return f" ({band['reason']})" if band.get("reason") else ""


def _said(stated: Mapping[str, Any]) -> str:
    by_source = stated.get("sources", {})
    said = ", ".join(f"{name} {usd_text(amount)}" for name, amount in by_source.items())
    return f" ({said})" if said else ""


def _table(band: Mapping[str, Any], versions: Mapping[str, str]) -> Iterator[str]:
    deviations = band.get("sources", {name: {} for name in versions})
    titles = [f"{name} {versions[name]}" for name in sorted(deviations)]
    width = max(_WIDTH, *(len(title) + 2 for title in titles))
    yield f"  {'USD per million':<{_WIDTH}}{'used':>{_WIDTH}}" + "".join(
        f"{title:>{width}}" for title in titles
    )
    for bucket in PRICE_BUCKETS:
        if bucket in band["price"]:
            used = band["price"][bucket]
            stated = [deviations[name].get(bucket, used) for name in sorted(deviations)]
            yield f"  {bucket:<{_WIDTH}}{per_million_usd(used):>{_WIDTH}}" + "".join(
                f"{per_million_usd(amount):>{width}}" for amount in stated
            )


def per_million_usd(picousd_per_token: int | None) -> str:
    """USD per million tokens with no digit lost and no zero too many; "-" when not listed."""
    if picousd_per_token is None:
        return "-"
    return f"{(Decimal(picousd_per_token) / 10**6).normalize():f}"


def condition_text(band: Mapping[str, Any]) -> str:
    """When a band holds, in words."""
    above, region = band.get("above_input_tokens", 0), band.get("region", "")
    words = [band.get("tier", STANDARD)]
    words += [f"above {above} input tokens"] if above else []
    words += [f"in {region}"] if region else []
    return " ".join(words)


def _amounts(band: Mapping[str, Any]) -> str:
    price = band["price"]
    return ", ".join(
        f"{key} {per_million_usd(price[key])}" for key in PRICE_BUCKETS if key in price
    )


def _override_rows(book: PriceBook, model: str) -> Iterator[str]:
    for upstream, entry in sorted(book.find_overrides(model).items()):
        cited = f", citing {entry['citation']}" if entry["citation"] else ""
        state = "agreed" if entry["citation"] else "disputed"
        cited = cited or " without a citation"
        yield f"{upstream}/{model}: {state} (declared by the operator in apex.yaml{cited})"
        yield f"  {_amounts(entry)}"
        yield ""


def _unknown_rows(book: PriceBook, model: str, public_names: Iterable[str]) -> list[str]:
    names = {name for provider in book.known_providers() for name in book.known_models(provider)}
    short = model.rpartition("/")[2]
    near = nearest(model, public_names) or nearest(short, names)
    return [
        f"{model}: unknown (no source lists it and no price is declared)",
        f"  did you mean {' or '.join(near)}?" if near else "  no known name is near it",
        "  declare one in apex.yaml: models.<name>.price",
    ]
