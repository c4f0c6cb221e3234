"""Which family of dialects an upstream belongs to; used by addresses.py, calls.py and matrix.py."""

from typing import Literal

from config.provider_kinds import MOCK_KIND, OPENAI_KIND
from policies.snapshot import Upstream
from proxy.providers.compatible import COMPATIBLE, kind_of

Family = Literal["openai", "azure", "anthropic", "gemini", "bedrock", "litellm"]
FAMILIES: tuple[Family, ...] = ("openai", "azure", "anthropic", "gemini", "bedrock", "litellm")


def played_kind(upstream: Upstream) -> str:
    """Return an upstream's kind; of the mock, the kind it plays."""
    return upstream.plays if upstream.kind == MOCK_KIND else upstream.kind


def family_of(upstream: Upstream) -> Family:
    """Return the family whose dialects this upstream speaks."""
    dialect = kind_of(played_kind(upstream))
    return "openai" if dialect == "relay" else dialect


def serves(upstream: Upstream, endpoint: str) -> bool:
    """Return whether a server that speaks OpenAI's API offers this part of it."""
    compatible = COMPATIBLE.get(played_kind(upstream), COMPATIBLE[OPENAI_KIND])
    has_all = compatible.endpoints == COMPATIBLE[OPENAI_KIND].endpoints
    return endpoint in compatible.endpoints or (has_all and endpoint == "input_tokens")


def asks_usage(upstream: Upstream) -> bool:
    """Return whether a stream's usage is asked for in `stream_options`."""
    compatible = COMPATIBLE.get(played_kind(upstream))
    return upstream.stream_usage and (compatible is None or compatible.accepts_include_usage)
