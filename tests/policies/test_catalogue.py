"""Who serves which model, and the price book with the operator's own prices on top."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.operator_model import OperatorConfig
from config.prices.document import canonical_bytes, read_document
from ledger.price_book import PriceBook
from ledger.rating import PriceState
from policies.catalogue import build_models, build_upstreams, write_effective_book
from policies.snapshot import Target

OPENAI = {"kind": "openai", "base_url": "https://api.openai.com/v1", "api_key": "sk-1"}
LOCAL = {"kind": "openai", "base_url": "http://127.0.0.1:9101/v1", "allow_private": True}
PRICE = {"input_per_million_usd": "0.5", "output_per_million_usd": "0.8", "citation": "contract"}


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return PriceBook(canonical_bytes(read_document()))


def operator(**parts: Any) -> OperatorConfig:
    upstreams = {"openai": OPENAI, "local": LOCAL, "mock": {"kind": "mock"}}
    return OperatorConfig.model_validate({"upstreams": upstreams, **parts})


def test_upstreams_have_every_field() -> None:
    upstreams = build_upstreams(operator())
    assert upstreams["openai"].api_key == "sk-1"
    assert upstreams["local"].allow_private
    assert (upstreams["local"].api_key, upstreams["local"].region) == ("", "")
    assert [name for name, each in upstreams.items() if each.is_simulated] == ["mock"]
    assert upstreams["mock"].base_url == ""


def test_the_default_upstream_serves_all_models_its_provider_lists(prices: PriceBook) -> None:
    models = build_models(operator(default_upstream="openai"), prices)
    assert models["gpt-4o"] == (Target("openai", "gpt-4o"),)
    assert models["text-embedding-3-small"] == (Target("openai", "text-embedding-3-small"),)
    assert set(models) == set(prices.known_models("openai"))


def test_the_mock_plays_the_models_of_several_providers(prices: PriceBook) -> None:
    models = build_models(operator(default_upstream="mock"), prices)
    for provider in ("openai", "anthropic", "gemini"):
        assert set(prices.known_models(provider)) <= set(models)
    assert models["gpt-4o"] == (Target("mock", "gpt-4o"),)


@pytest.mark.parametrize("default", ["local", None])
def test_an_unlisted_server_serves_only_what_is_declared(
    default: str | None, prices: PriceBook
) -> None:
    declared = operator(default_upstream=default, models={"house": {"upstreams": ["local"]}})
    assert build_models(declared, prices) == {"house": (Target("local", "house"),)}


def test_a_declared_model_wins_over_the_catalogue(prices: PriceBook) -> None:
    targets = ["openai", {"upstream": "local", "model": "llama"}]
    declared = operator(default_upstream="openai", models={"gpt-4o": {"upstreams": targets}})
    models = build_models(declared, prices)
    assert models["gpt-4o"] == (Target("openai", "gpt-4o"), Target("local", "llama"))
    assert models["gpt-4o-mini"] == (Target("openai", "gpt-4o-mini"),)


def test_declared_prices_are_in_the_effective_book(tmp_path: Path) -> None:
    own = {"upstream": "local", "model": "llama", "price": {**PRICE, "input_per_million_usd": "3"}}
    models = {"house": {"upstreams": ["local", own], "price": PRICE}}
    book = write_effective_book(operator(models=models), read_document(), tmp_path)
    assert (tmp_path / f"{book.hash}.json").exists()
    general = book.quote("local", "openai", "127.0.0.1:9101", "house")
    assert (general.state, general.source) == (PriceState.agreed, "override")
    assert general.price is not None
    assert (general.price.input, general.price.output) == (500_000, 800_000)
    special = book.quote("local", "openai", "127.0.0.1:9101", "llama")
    assert special.price is not None
    assert special.price.input == int(Decimal(3) * 10**6)
    elsewhere = book.quote("other", "openai", "127.0.0.1:9101", "house")
    assert elsewhere.state is PriceState.unknown


def test_without_declared_prices_the_shipped_book_is_used(
    tmp_path: Path, prices: PriceBook
) -> None:
    book = write_effective_book(operator(), read_document(), tmp_path)
    assert book.hash == prices.hash
    again = write_effective_book(operator(), read_document(), tmp_path)
    assert again.hash == book.hash


def test_two_prices_for_one_thing_are_refused(tmp_path: Path) -> None:
    target = {"upstream": "local", "model": "llama"}
    models = {
        "one": {"upstreams": [target], "price": PRICE},
        "two": {"upstreams": [target], "price": {**PRICE, "input_per_million_usd": "9"}},
    }
    with pytest.raises(ConfigError) as raised:
        write_effective_book(operator(models=models), read_document(), tmp_path)
    assert "models.two.price: 'llama' on upstream 'local' has two prices" in raised.value.message
    models["two"]["price"] = PRICE
    write_effective_book(operator(models=models), read_document(), tmp_path)
