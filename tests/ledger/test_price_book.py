"""Quotes from a small book and from the shipped one; overrides and damage."""

import json
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.errors import ConfigError
from config.prices.document import (
    BOOK_PATH,
    READABLE_SCHEMAS,
    Document,
    canonical_bytes,
    read_document,
)
from ledger import price_book
from ledger.price_bands import Service
from ledger.price_book import (
    ModelLimits,
    PriceBook,
    build_effective_book,
    declared_price,
    load_price_book,
    write_price_book,
)
from ledger.rating import Price, PriceState


def make_band(state: str, price: dict[str, int], **more: object) -> dict[str, object]:
    return {"tier": "standard", "above_input_tokens": 0, "state": state, "price": price, **more}


def make_document() -> Document:
    agreed = make_band("agreed", {"input": 10, "output": 40})
    batch = {**make_band("agreed", {"input": 5, "output": 20}), "tier": "batch"}
    single = make_band("disputed", {"input": 7, "output": 9}, reason="one source")
    partly = make_band(
        "disputed", {"input": 7, "output": 9, "audio_input": 80}, disputed=["audio_input"],
        reason="listed by one source only: audio_input",
    )  # fmt: skip
    limits = {"context": 1000, "max_output": 100, "tools": True}
    return {
        "header": {"schema": 1, "as_of": "2026-01-01", "sources": {}},
        "providers": {
            "openai": {
                "big": {"bands": [agreed, batch], "limits": limits},
                "ft:big": {"bands": [agreed]},
                "rare": {"bands": [single]},
                "speaking": {"bands": [partly]},
            },
            "anthropic": {"wise": {"bands": [agreed]}},
            "gemini": {"big": {"bands": [single]}, "quick": {"bands": [agreed]}},
        },
    }


@pytest.fixture
def book() -> PriceBook:
    return PriceBook(canonical_bytes(make_document()))


def test_an_agreed_price_is_the_standard_band(book: PriceBook) -> None:
    quote = book.quote("main", "openai", "api.openai.com", "big")

    assert quote.state is PriceState.agreed
    assert quote.price == Price(input=10, output=40)
    assert quote.source == "book"
    assert quote.agreed_buckets == {"input", "output"}


def test_a_disputed_price_keeps_its_reason_and_what_is_agreed(book: PriceBook) -> None:
    single = book.quote("main", "openai", "api.openai.com", "rare")
    partly = book.quote("main", "openai", "api.openai.com", "speaking")

    assert (single.state, single.reason) == (PriceState.disputed, "one source")
    assert single.agreed_buckets == frozenset()
    assert partly.state is PriceState.disputed
    assert partly.agreed_buckets == {"input", "output"}


@pytest.mark.parametrize(
    ("kind", "host", "model"),
    [
        ("openai", "127.0.0.1", "big"),
        ("openai", "api.openai.com", "no-such-model"),
        ("ollama", "", "big"),
        ("mock", "", "no-such-model"),
    ],
)
def test_what_nobody_lists_is_unknown_and_has_no_price(
    book: PriceBook, kind: str, host: str, model: str
) -> None:
    quote = book.quote("main", kind, host, model)

    assert quote.state is PriceState.unknown
    assert quote.price is None
    assert quote.source == "none"


def test_the_mock_is_priced_as_the_model_it_plays(book: PriceBook) -> None:
    assert book.quote("mock", "mock", "", "big").state is PriceState.agreed
    assert book.quote("mock", "mock", "", "wise").price == Price(input=10, output=40)
    assert book.quote("mock", "mock", "", "quick").price == Price(input=10, output=40)


@pytest.mark.parametrize("name", ["openai/big", "models/big", "ft:big:acme::1234"])
def test_spellings_of_a_known_model_are_found(book: PriceBook, name: str) -> None:
    assert book.quote("main", "openai", "api.openai.com", name).state is PriceState.agreed


def test_limits_are_those_of_the_sources(book: PriceBook) -> None:
    assert book.model_limits("openai", "big") == ModelLimits(1000, 100, True, False)
    assert book.model_limits("openai", "rare") == ModelLimits(None, None, False, False)
    assert book.model_limits("openai", "no-such-model") is None


def test_known_models_are_sorted(book: PriceBook) -> None:
    assert book.known_models("openai") == ["big", "ft:big", "rare", "speaking"]
    assert book.known_models("nobody") == []
    assert book.known_providers() == ["anthropic", "gemini", "openai"]


def test_the_operators_price_wins_at_its_upstream_only() -> None:
    document = build_effective_book(
        make_document(),
        {("local", "big"): Price(input=1, output=0)},
        {("local", "big"): "https://example.com/contract"},
    )
    book = PriceBook(canonical_bytes(document))

    declared = book.quote("local", "openai", "10.0.0.1", "big")
    assert declared.state is PriceState.agreed
    assert declared.source == "override"
    assert declared.price == Price(input=1, output=0)
    assert declared.reason.endswith("https://example.com/contract")
    assert book.quote("main", "openai", "api.openai.com", "big").source == "book"


def test_without_overrides_the_effective_book_is_the_base() -> None:
    assert build_effective_book(make_document(), {}) == make_document()


def test_an_override_changes_the_hash_and_nothing_of_the_base() -> None:
    base = make_document()
    document = build_effective_book(base, {("local", 'a "quoted" {name}'): Price(input=1)})

    book = PriceBook(canonical_bytes(document))
    assert book.hash != PriceBook(canonical_bytes(base)).hash
    assert document["providers"] == base["providers"]
    assert book.quote("local", "openai", "h", 'a "quoted" {name}').source == "override"


def test_declared_prices_are_converted_exactly() -> None:
    price = declared_price(
        SimpleNamespace(
            input_per_million_usd=Decimal("0.5"),
            output_per_million_usd=Decimal("0.8"),
            cache_read_per_million_usd=None,
            cache_write_per_million_usd=Decimal("0.6250005"),
        )
    )

    assert price == Price(
        input=500_000,
        output=800_000,
        cache_write_5m=625_000,
        cache_write_1h=625_000,
        image_input=500_000,
    )


def test_a_book_is_kept_under_its_hash(tmp_path: Path) -> None:
    name = write_price_book(make_document(), tmp_path / "books")

    path = tmp_path / "books" / f"{name}.json"
    assert load_price_book(path).hash == name
    assert write_price_book(make_document(), tmp_path / "books") == name


def test_a_damaged_book_is_refused(tmp_path: Path) -> None:
    name = write_price_book(make_document(), tmp_path)
    path = tmp_path / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b'"input":10', b'"input":11'))

    with pytest.raises(ConfigError, match="damaged") as caught:
        load_price_book(path)
    assert "delete the file" in caught.value.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"not json", json.dumps(make_document(), indent=1).encode(),
     canonical_bytes({"header": {"schema": 3}, "providers": {}}), b"{\n\"header\":{broken\n}\n"],
)  # fmt: skip
def test_what_is_no_book_is_refused_with_a_hint(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "book.json"
    path.write_bytes(data)

    with pytest.raises(ConfigError) as caught:
        load_price_book(path)
    assert "prices build" in caught.value.hint


def test_a_missing_book_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_price_book(tmp_path / "none.json")


def test_every_model_of_the_shipped_book_can_be_quoted() -> None:
    book = load_price_book()

    for provider in book.known_providers():
        for model in book.known_models(provider):
            quote = book.quote("any", provider, "", model)
            assert quote.units if quote.price is None else quote.price.input is not None
            assert quote.agreed_buckets or quote.agreed_units or quote.state is PriceState.disputed
            assert book.model_limits(provider, model) is not None


def test_the_shipped_book_loads_fast() -> None:
    load_price_book()
    took = []
    for _ in range(5):
        started = time.process_time()
        load_price_book()
        took.append(time.process_time() - started)

    assert min(took) < 0.030


def test_the_shipped_book_survives_the_trip_to_an_effective_one(tmp_path: Path) -> None:
    base = read_document()

    assert write_price_book(build_effective_book(base, {}), tmp_path) == load_price_book().hash
    assert load_price_book(BOOK_PATH).header()["schema"] in READABLE_SCHEMAS


ASKED = [
    (place, model, Service(tiers, used, region))
    for place in (("openai", "openai", "api.openai.com"), ("b", "bedrock_converse", ""))
    for model in ("gpt-4o", "gpt-4o-2024-08-06", "x" * 300, "unknown", "gpt-5.4")
    for tiers in (("standard",), ("batch",), ("standard", "flex"), ())
    for used, region in ((0, ""), (300_000, ""), (0, "eu"))
]


def test_a_quote_does_not_depend_on_what_was_asked_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is remembered is bounded, and forgetting changes nothing."""
    book = load_price_book()
    first = [book.quote(*place, model, service) for place, model, service in ASKED]
    again = [book.quote(*place, model, service) for place, model, service in reversed(ASKED)]
    assert first == again[::-1]
    monkeypatch.setattr(price_book, "_MOST_FOUND", 1)
    forgetful = load_price_book()
    assert [forgetful.quote(*place, model, service) for place, model, service in ASKED] == first
    assert len({id(quote) for quote in first}) > 3
