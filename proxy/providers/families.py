"""Which family of dialects an upstream's kind belongs to; used by addresses.py and matrix.py."""

from typing import Literal

from config.provider_kinds import MOCK_KIND
from policies.snapshot import Upstream
from proxy.providers.compatible import is_compatible

Family = Literal["openai", "azure", "anthropic", "gemini", "bedrock", "litellm"]
FAMILIES: tuple[Family, ...] = ("openai", "azure", "anthropic", "gemini", "bedrock", "litellm")
OWN_FAMILIES: dict[str, Family] = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
}


def family_of(upstream: Upstream) -> Family:
    """Return the family whose dialects this upstream speaks; the mock speaks what it plays."""
    kind = upstream.plays if upstream.kind == MOCK_KIND else upstream.kind
    if kind in OWN_FAMILIES:
        return OWN_FAMILIES[kind]
    return "openai" if is_compatible(kind) else "litellm"
