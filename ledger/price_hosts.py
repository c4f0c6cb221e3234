"""Whose list price an upstream is billed at, by kind and host (pure); used by ledger.price_book.

A price belongs to who serves the model: the same name behind an unknown host has no list price.
"""

# `tenant@upstream` in usage: a shared upstream, called with the tenant's own key.
OWN_KEY_MARK = "@"
# The mock is priced as the model it plays, so that a demo's figures look like the real thing.
MOCK_PROVIDERS = ("openai", "anthropic", "gemini")
# Kinds that bill under another provider's list.
_KIND_PROVIDERS = {"bedrock_converse": "bedrock", "cohere_chat": "cohere"}
_HOST_PROVIDERS = {
    "api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "vertex_ai",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.minimax.io": "minimax",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshot",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.voyageai.com": "voyage",
    "api.x.ai": "xai",
    "api.z.ai": "zai",
}
_SUFFIX_PROVIDERS = (
    (".openai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".services.ai.azure.com", "azure_ai"),
    ("-aiplatform.googleapis.com", "vertex_ai"),
)


def providers_for(upstream_kind: str, base_url_host: str) -> tuple[str, ...]:
    """Names in the book to look a model up under, in order; none when nobody's list applies.

    `base_url_host` may carry a port; empty means the kind's own public host.
    """
    if upstream_kind == "mock":
        return MOCK_PROVIDERS
    host = _plain(base_url_host)
    if not host:
        return (_KIND_PROVIDERS.get(upstream_kind, upstream_kind),)
    provider = _provider_at(host)
    return (provider,) if provider else ()


def region_of(upstream_kind: str, base_url_host: str, declared: str) -> str:
    """The region that decides the price, by the host where that tells it, else as declared.

    OpenAI takes its surcharge at its regional hosts only, whatever region an operator writes.
    """
    host = _plain(base_url_host)
    provider = _provider_at(host) if host else _KIND_PROVIDERS.get(upstream_kind, upstream_kind)
    if provider == "openai":
        return host.removesuffix("api.openai.com").rstrip(".")
    if provider == "bedrock" and host:
        return host.split(".")[1]
    if provider == "vertex_ai" and host:
        return host.removesuffix("aiplatform.googleapis.com").rstrip("-") or declared
    return declared


def _plain(host: str) -> str:
    return host.lower().partition(":")[0].rstrip(".")


def _provider_at(host: str) -> str:
    if host in _HOST_PROVIDERS:
        return _HOST_PROVIDERS[host]
    if host.startswith("bedrock-runtime.") and host.endswith(".amazonaws.com"):
        return "bedrock"
    return next((name for suffix, name in _SUFFIX_PROVIDERS if host.endswith(suffix)), "")
