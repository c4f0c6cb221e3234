"""Requests: Anthropic's Messages to chat completions. Called by messages_translator.py.

Fields with an equal in chat are translated, those that only steer caches left out, those that
need Anthropic's own machinery refused. All others pass as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.providers.messages_checks import as_list, as_object, as_text, refused
from proxy.providers.messages_tools import read_choice, read_tools
from proxy.providers.messages_turns import read_system, read_turns
from proxy.providers.translation import Document

# OpenAI's reasoning models take the new name of the limit only, others may know the old one only.
REASONING_MODEL = re.compile(r"(.*/)?(o\d|gpt-5|gpt-[6-9])")
PLAIN_MODEL = re.compile(r"(.*/)?(gpt-3|gpt-4|chatgpt-)")
MOST_STOPS = 4
# Field -> (values that ask for nothing, what to do instead)
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "container": ((), "Code runs at Anthropic only: use one of their models."),
    "mcp_servers": (([],), "Anthropic alone connects to them: use one of their models."),
    "inference_geo": (("global",), "Regions are chosen by the operator's upstreams."),
    "speed": (("standard",), "Leave it out, or use service_tier."),
}
LEFT_OUT = frozenset({"cache_control", "context_management", "betas", "diagnostics"})
TRANSLATED = frozenset({
    "system", "messages", "max_tokens", "stop_sequences", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "metadata", "service_tier", "stream",
})  # fmt: skip
TIERS = {"auto": "auto", "standard_only": "default"}
# Budgets of thinking, in tokens, from which on the effort is the next one.
MEDIUM_FROM_TOKENS = 4096
HIGH_FROM_TOKENS = 16_384


def to_chat_request(doc: Mapping[str, Any]) -> Document:
    """Return the chat request; a stream asks for usage: Anthropic's always tells it."""
    _check_fields(doc)
    model = as_text(doc.get("model"), "model")
    request = {
        name: value
        for name, value in doc.items()
        if value is not None
        and name not in TRANSLATED
        and name not in REFUSED
        and name not in LEFT_OUT
    }
    request["messages"] = read_system(doc.get("system")) + read_turns(doc.get("messages"))
    if not request["messages"]:
        raise refused("messages", "is empty", "Send at least one message.")
    _put_limit(request, doc, model)
    if tools := read_tools(doc.get("tools")):
        request["tools"] = tools
        request |= read_choice(doc.get("tool_choice"))
    if stops := _stops(doc.get("stop_sequences")):
        request["stop"] = stops
    _put_thinking(request, doc, model)
    _put_format(request, doc)
    _put_rest(request, doc)
    return request


def _check_fields(doc: Mapping[str, Any]) -> None:
    for name, (neutral, hint) in REFUSED.items():
        value = doc.get(name)
        if value is not None and value not in neutral:
            raise refused(name, "cannot be honoured by this model's provider", hint)


def _put_limit(request: Document, doc: Mapping[str, Any], model: str) -> None:
    limit = doc.get("max_tokens")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise refused("max_tokens", "must be a whole number above 0", "Anthropic requires it.")
    is_reasoning = REASONING_MODEL.match(model) is not None
    request["max_completion_tokens" if is_reasoning else "max_tokens"] = limit


def _stops(value: Any) -> list[str]:
    stops = [as_text(stop, "stop_sequences") for stop in as_list(value, "stop_sequences")]
    if len(stops) > MOST_STOPS:
        hint = f"OpenAI's API takes {MOST_STOPS} at most."
        raise refused("stop_sequences", "holds too many", hint)
    return stops


def _put_thinking(request: Document, doc: Mapping[str, Any], model: str) -> None:
    """Thoughts are a wish: a model known to have none answers without."""
    if PLAIN_MODEL.match(model):
        return
    effort = as_object(doc.get("output_config"), "output_config").get("effort")
    thinking = as_object(doc.get("thinking"), "thinking")
    budget_tokens = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and effort is None and isinstance(budget_tokens, int):
        effort = _effort_of(budget_tokens)
    if thinking.get("type") != "disabled" and effort is not None:
        request["reasoning_effort"] = effort


def _effort_of(budget_tokens: int) -> str:
    if budget_tokens >= HIGH_FROM_TOKENS:
        return "high"
    return "medium" if budget_tokens >= MEDIUM_FROM_TOKENS else "low"


def _put_format(request: Document, doc: Mapping[str, Any]) -> None:
    config = as_object(doc.get("output_config"), "output_config")
    wanted = as_object(config.get("format") or doc.get("output_format"), "output_config.format")
    if not wanted:
        return
    if wanted.get("type") != "json_schema":
        raise refused("output_config.format", "must be a JSON schema", "Use type json_schema.")
    schema = as_object(wanted.get("schema"), "output_config.format.schema")
    holder = {"name": "answer", "schema": schema, "strict": True}
    request["response_format"] = {"type": "json_schema", "json_schema": holder}


def _put_rest(request: Document, doc: Mapping[str, Any]) -> None:
    user = as_object(doc.get("metadata"), "metadata").get("user_id")
    if user is not None:
        request["user"] = as_text(user, "metadata.user_id")
    tier = doc.get("service_tier")
    if isinstance(tier, str):
        request["service_tier"] = TIERS.get(tier, tier)
    if doc.get("stream") is True:
        request["stream"] = True
        request["stream_options"] = {"include_usage": True}
