"""The shape of apex.yaml: defaults, bounds, secrets and prices."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from config.operator_model import (
    CacheConfig,
    KeyConfig,
    Limits,
    ModelConfig,
    ModelTarget,
    OperatorConfig,
    PriceOverride,
    TenantConfig,
    Timeouts,
    UpstreamConfig,
)


def test_defaults_are_the_documented_ones() -> None:
    timeouts, limits, cache = Timeouts(), Limits(), CacheConfig()
    assert (timeouts.connect_s, timeouts.first_token_s, timeouts.idle_s) == (5, 60, 60)
    assert (timeouts.total_s, timeouts.stream_headers_s) == (600, 15)
    assert (limits.max_body_bytes, limits.drain_s) == (52_428_800, 30)
    assert (limits.max_concurrent_requests, limits.max_concurrent_per_key) == (2000, 1000)
    assert (cache.max_bytes, cache.max_entry_bytes) == (33_554_432, 4_194_304)
    assert cache.coalesce_wait_s == 30


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Timeouts().connect_s = 3  # type: ignore[misc]


def test_a_bare_name_is_a_target() -> None:
    model = ModelConfig.model_validate({"upstreams": ["openai", {"upstream": "local"}]})
    assert model.upstreams == (ModelTarget(upstream="openai"), ModelTarget(upstream="local"))


def test_secrets_come_from_the_context_and_stay_out_of_repr() -> None:
    context = {"environ": {"KEY": " sk-secret\n", "LONG": "l" * 32}}
    upstream = UpstreamConfig.model_validate({"kind": "x", "api_key": "env:KEY"}, context=context)
    key = KeyConfig.model_validate({"name": "a", "secret": "env:LONG"}, context=context)
    assert upstream.api_key == "sk-secret"
    assert key.secret == "l" * 32
    assert "sk-secret" not in repr(upstream)
    assert "llll" not in repr(TenantConfig(keys=(key,)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("env:UNSET", "the environment variable UNSET is not set"),
        ("env:EMPTY", "the environment variable EMPTY is not set"),
        ("env:", "the environment variable  is not set"),
        ("two words", "the value holds a blank"),
        ("k\u00e9y", "the value holds a blank"),
        ("line\nbreak", "the value holds a blank"),
    ],
)
def test_bad_secrets(value: str, message: str) -> None:
    context = {"environ": {"EMPTY": " "}}
    with pytest.raises(ValidationError) as caught:
        UpstreamConfig.model_validate({"kind": "x", "api_key": value}, context=context)
    assert message in str(caught.value)
    assert value not in str(caught.value) or value.startswith("env:")


def test_short_key_secret() -> None:
    with pytest.raises(ValidationError, match="31 characters"):
        KeyConfig(name="a", secret="s" * 31)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.5, "0.5"), (2.5, "2.5"), ("15", "15"), (0.000001 + 0.075, "0.075001")],
)
def test_prices_are_exact(value: Any, expected: str) -> None:
    price = PriceOverride(input_per_million_usd=value, output_per_million_usd=Decimal(1))
    assert price.input_per_million_usd == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (-1, "lies between 0 and 10000", "2.5"),
        (10_001, "lies between 0 and 10000", "2.5"),
        (0.0000025, "0.0000025 USD per million tokens looks like", "write 2.5"),
        (0.00015, "looks like a price per token", "write 150"),
        ("1.2345678", "at most 6 decimals", "write 1.234568"),
    ],
)
def test_price_bounds(value: Any, message: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PriceOverride(input_per_million_usd=value, output_per_million_usd=Decimal(1))
    (detail,) = caught.value.errors()
    assert message in detail["msg"]
    assert hint in detail["ctx"]["hint"]


@pytest.mark.parametrize("value", ["nan", "inf", "cheap", True, None])
def test_prices_are_numbers(value: Any) -> None:
    with pytest.raises(ValidationError):
        PriceOverride(input_per_million_usd=value, output_per_million_usd=Decimal("nan"))


@pytest.mark.parametrize(
    "document",
    [
        {"upstreams": {"a b": {"kind": "mock"}}},
        {"upstreams": {"": {"kind": "mock"}}},
        {"tenants": {"Acme": {"keys": [{"name": "a"}]}}},
        {"tenants": {"acme": {"keys": [{"name": "A"}]}}},
        {"tenants": {"a" * 65: {"keys": [{"name": "a"}]}}},
        {"tenants": {"acme": {"keys": []}}},
        {"models": {"a b": {"upstreams": ["mock"]}}},
        {"models": {"a": {"upstreams": []}}},
        {"timeouts": {"connect_s": 0}},
        {"timeouts": {"total_s": float("nan")}},
        {"limits": {"max_body_bytes": -1}},
        {"cache": {"max_bytes": -1}},
        {"tenants": {"acme": {"keys": [{"name": "a"}], "policy": 3}}},
        {"unknown": 1},
        [],
    ],
)
def test_refused_shapes(document: Any) -> None:
    with pytest.raises(ValidationError):
        OperatorConfig.model_validate(document)


def test_sections_may_be_empty() -> None:
    assert OperatorConfig.model_validate({"tenants": None, "limits": None}) == OperatorConfig()
    assert OperatorConfig.model_validate(None) == OperatorConfig()
