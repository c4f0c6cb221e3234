"""Whose list prices apply at which host."""

import pytest

from ledger.price_hosts import providers_for, region_of


@pytest.mark.parametrize(
    ("kind", "host", "expected"),
    [
        ("openai", "api.openai.com", ("openai",)),
        ("openai", "API.OpenAI.com.:443", ("openai",)),
        ("openai", "", ("openai",)),
        ("openai", "api.deepseek.com", ("deepseek",)),
        ("openai", "acme.openai.azure.com", ("azure",)),
        ("openai", "bedrock-runtime.eu-west-1.amazonaws.com", ("bedrock",)),
        ("openai", "us-central1-aiplatform.googleapis.com", ("vertex_ai",)),
        ("anthropic", "", ("anthropic",)),
        ("bedrock_converse", "", ("bedrock",)),
        ("mock", "127.0.0.1:9000", ("openai", "anthropic", "gemini")),
        ("openai", "127.0.0.1:8000", ()),
        ("openai", "us.api.openai.com", ("openai",)),
        ("openai", "xx.api.openai.com", ()),
        ("openai", "api.openai.com.evil.example", ()),
        ("openai", "notapi.openai.com", ()),
        ("anthropic", "proxy.internal", ()),
    ],
)
def test_a_list_price_belongs_to_who_serves_the_model(
    kind: str, host: str, expected: tuple[str, ...]
) -> None:
    assert providers_for(kind, host) == expected


@pytest.mark.parametrize(
    ("kind", "host", "declared", "region"),
    [
        ("openai", "eu.api.openai.com", "", "eu"),
        ("openai", "api.openai.com", "eu", ""),
        ("openai", "", "eu", ""),
        ("bedrock", "", "eu-west-1", "eu-west-1"),
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com:443", "", "us-east-1"),
        ("vertex_ai", "us-east5-aiplatform.googleapis.com", "", "us-east5"),
        ("vertex_ai", "aiplatform.googleapis.com", "global", "global"),
        ("azure", "acme.openai.azure.com", "eu", "eu"),
        ("openai", "127.0.0.1:8000", "mars", "mars"),
    ],
)
def test_the_region_is_the_hosts_or_the_declared_one(
    kind: str, host: str, declared: str, region: str
) -> None:
    assert region_of(kind, host, declared) == region
