"""The table of kinds that are relayed: whole, and agreeing with the price book about hosts."""

from urllib.parse import urlsplit

import pytest

from config.provider_kinds import KNOWN_KINDS, LITELLM_KINDS
from ledger.price_hosts import providers_for
from proxy.providers.compatible import BASE_URL_EXAMPLES, COMPATIBLE, kind_of


def test_every_relayed_kind_is_a_known_kind() -> None:
    assert set(COMPATIBLE) <= set(KNOWN_KINDS)


def test_what_is_left_for_litellm() -> None:
    left = {kind for kind in LITELLM_KINDS if kind_of(kind) == "litellm"}
    assert left == {
        "ai21", "azure_ai", "cohere", "cohere_chat", "databricks", "github_copilot", "nlp_cloud",
        "oci", "predibase", "replicate", "sagemaker", "sagemaker_chat", "snowflake", "triton",
        "vertex_ai", "watsonx",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [
        ("openai", "relay"), ("mock", "relay"), ("groq", "relay"), ("azure", "azure"),
        ("anthropic", "anthropic"), ("gemini", "gemini"), ("bedrock", "bedrock"),
        ("cohere", "litellm"),
    ],
)  # fmt: skip
def test_kind_of(kind: str, dialect: str) -> None:
    assert kind_of(kind) == dialect


@pytest.mark.parametrize("kind", COMPATIBLE)
def test_each_has_an_address_or_an_example_of_one(kind: str) -> None:
    facts = COMPATIBLE[kind]
    assert bool(facts.base_url) != (kind in BASE_URL_EXAMPLES)
    parts = urlsplit(facts.base_url or BASE_URL_EXAMPLES[kind])
    assert parts.hostname
    assert not parts.path.endswith("/")
    assert facts.endpoints
    assert facts.endpoints <= {"chat", "completions", "embeddings", "responses"}
    if facts.base_url:
        assert parts.scheme == "https"


@pytest.mark.parametrize("kind", ["deepseek", "groq", "mistral", "together_ai", "xai", "zai"])
def test_own_addresses_are_billed_by_the_kinds_own_list(kind: str) -> None:
    host = urlsplit(COMPATIBLE[kind].base_url).hostname or ""
    assert providers_for(kind, host) == (kind,)
