"""THE table of dialects: what becomes of an inbound dialect at each family of upstreams.

Read by calls.py for every attempt, and by the tool that writes docs/dialects.md. A dialect goes to
its own family as bytes; to another one it is translated, by way of chat completions where no
direct way is written; where neither works the caller gets a 400 that says what would.
"""

from typing import Literal, NamedTuple

from policies.snapshot import Upstream
from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.providers.bedrock import ChatToConverse
from proxy.providers.chain import Chain
from proxy.providers.completions_to_chat import CompletionsToChat
from proxy.providers.families import FAMILIES, Family, family_of, serves
from proxy.providers.gemini_translators import ChatToGemini, EmbeddingsToGemini
from proxy.providers.litellm_way import Unchanged
from proxy.providers.messages_translator import MessagesToChat
from proxy.providers.responses_to_chat import ResponsesToChat
from proxy.providers.translation import Translator

Action = Literal["relay", "translate", "refuse"]
OPENAI_FAMILIES: tuple[Family, ...] = ("openai", "azure")


class Way(NamedTuple):
    """What becomes of one dialect at one family; `path` is the operation asked for there."""

    action: Action
    path: str = ""
    translator: Translator | None = None
    hint: str = ""


def _relay(endpoint: str) -> Way:
    return Way("relay", endpoint)


def _translate(path: str, translator: Translator) -> Way:
    return Way("translate", path, translator)


def _refuse(hint: str) -> Way:
    return Way("refuse", hint=hint)


CHAT_TO: dict[Family, tuple[str, Translator]] = {
    "anthropic": ("messages", ChatToAnthropic()),
    "gemini": ("gemini", ChatToGemini()),
    "bedrock": ("bedrock", ChatToConverse()),
}
TO_CHAT: dict[str, Translator] = {
    "messages": MessagesToChat(),
    "responses": ResponsesToChat(),
    "completions": CompletionsToChat(),
}
OPENAI_DIALECTS = frozenset({"chat", "embeddings", "responses", "input_tokens", "completions"})
OWN: dict[str, tuple[Family, ...]] = {
    "chat": OPENAI_FAMILIES,
    "embeddings": OPENAI_FAMILIES,
    "responses": OPENAI_FAMILIES,
    "input_tokens": OPENAI_FAMILIES,
    "completions": OPENAI_FAMILIES,
    "messages": ("anthropic",),
    "count_tokens": ("anthropic",),
    "gemini": ("gemini",),
    "gemini_count": ("gemini",),
    "gemini_embed": ("gemini",),
    "gemini_batch_embed": ("gemini",),
}
HINTS = {
    "embeddings": "Embeddings are served by upstreams of kind openai, azure or gemini.",
    "input_tokens": "Input is counted by upstreams of kind openai or azure; or read the usage.",
    "count_tokens": "Tokens are counted by upstreams of kind anthropic; or read the usage.",
    "gemini": "Google's dialect goes to upstreams of kind gemini; others take chat completions.",
    "gemini_count": "Tokens are counted by upstreams of kind gemini; or read the usage.",
    "gemini_embed": "Use POST /v1/embeddings, or a model at an upstream of kind gemini.",
    "gemini_batch_embed": "Use POST /v1/embeddings, or a model at an upstream of kind gemini.",
}


def _way(endpoint: str, family: Family) -> Way:
    if family in OWN[endpoint]:
        return _relay(endpoint)
    if endpoint == "embeddings" and family == "gemini":
        return _translate("gemini_batch_embed", EmbeddingsToGemini())
    if endpoint in HINTS:
        return _refuse(HINTS[endpoint])
    if family in OPENAI_FAMILIES:
        return _translate("chat", TO_CHAT[endpoint])
    if family == "litellm":  # whose door makes the call of what the outer translation says
        return _translate("litellm", TO_CHAT.get(endpoint, Unchanged()))
    path, inner = CHAT_TO[family]
    return _translate(path, inner if endpoint == "chat" else Chain(TO_CHAT[endpoint], inner))


WAYS: dict[tuple[str, Family], Way] = {
    (endpoint, family): _way(endpoint, family) for endpoint in OWN for family in FAMILIES
}
# Servers that speak chat completions and not this dialect of OpenAI's.
AS_CHAT: dict[str, Way] = {
    endpoint: _translate("chat", translator) for endpoint, translator in TO_CHAT.items()
}


def way_of(endpoint: str, upstream: Upstream) -> Way:
    """Return what becomes of a dialect at an upstream."""
    family = family_of(upstream)
    if family == "openai" and endpoint in OPENAI_DIALECTS and not serves(upstream, endpoint):
        return AS_CHAT.get(endpoint) or _refuse(
            f"Servers of kind {upstream.kind} do not offer it; use an upstream of another kind."
        )
    return WAYS[endpoint, family]
