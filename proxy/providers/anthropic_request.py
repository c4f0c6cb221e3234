"""Requests: chat completions to Anthropic's Messages. Called by anthropic_translator.py.

Fields read here are translated, those of anthropic_refusals.py refused or left out, all others
(thinking, top_k, mcp_servers, ...) pass as they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.providers.anthropic_models import (
    BUDGET_TOKENS,
    EFFORTS,
    LEAST_BUDGET_TOKENS,
    effort_of,
    has_effort,
    has_schemas,
    has_thinking,
)
from proxy.providers.anthropic_refusals import LEFT_OUT, check_fields, tier_of
from proxy.providers.anthropic_tools import read_choice, read_tools
from proxy.providers.anthropic_turns import read_messages
from proxy.providers.messages_checks import as_list, as_object, as_text, refused, text_field
from proxy.providers.translation import Document

# Anthropic demands a limit. Every model of theirs can write this much.
DEFAULT_MAX_TOKENS = 4096
TRANSLATED = frozenset({
    "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens",
    "max_completion_tokens", "stop", "user", "safety_identifier", "response_format",
    "reasoning_effort", "service_tier", "output_config",
})  # fmt: skip

LimitOf = Callable[[str], int | None]


def to_messages_request(doc: Mapping[str, Any], limit_of: LimitOf) -> Document:
    """Return the Messages request; `limit_of` tells a model's most output tokens, if known."""
    check_fields(doc)
    model = as_text(doc.get("model"), "model")
    request = {
        name: value
        for name, value in doc.items()
        if value is not None and name not in TRANSLATED and name not in LEFT_OUT
    }
    system, request["messages"] = read_messages(doc.get("messages"))
    optional = {
        "system": system,
        "tools": read_tools(doc),
        "stop_sequences": _stops(doc.get("stop")),
        "metadata": _user(doc),
        "service_tier": tier_of(doc.get("service_tier")),
    }
    request |= {name: value for name, value in optional.items() if value}
    choice = read_choice(doc, has_tools="tools" in request)
    if choice is not None:
        request["tool_choice"] = choice
    _put_format(request, doc, model)
    most = limit_of(model)
    limit = _limit(doc)
    request["max_tokens"] = limit or most or DEFAULT_MAX_TOKENS
    _put_effort(request, doc, model)
    if limit is None and "budget_tokens" in as_object(request.get("thinking"), "thinking"):
        _make_room(request, most)
    return request


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else as_list(stop, "stop")
    for text in stops:
        if not as_text(text, "stop").strip():
            hint = "Anthropic stops at texts with a visible character only."
            raise refused("stop", "holds blank text", hint)
    return stops


def _user(doc: Mapping[str, Any]) -> Document | None:
    user = doc.get("safety_identifier") or doc.get("user")
    return {"user_id": as_text(user, "user")} if user else None


def _limit(doc: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = doc.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise refused(name, "must be a whole number above 0", "Send one.")
        return limit
    return None


def _put_effort(request: Document, doc: Mapping[str, Any], model: str) -> None:
    """Say how much to think, the way the model takes it; what the caller said himself stays."""
    effort = doc.get("reasoning_effort")
    if effort is None:
        return
    if as_text(effort, "reasoning_effort") not in EFFORTS:
        raise refused("reasoning_effort", "is not known", f"Use {', '.join(sorted(EFFORTS))}.")
    if has_effort(model):
        _put_word(request, model, effort)
    elif effort != "none" and has_thinking(model) and not _forces_tool(request):
        tokens = BUDGET_TOKENS[effort]
        if _limit(doc) is not None:
            # Thoughts count against the limit: half of it is left for the answer.
            tokens = min(tokens, request["max_tokens"] // 2)
        if tokens >= LEAST_BUDGET_TOKENS:
            request.setdefault("thinking", {"type": "enabled", "budget_tokens": tokens})


def _forces_tool(request: Document) -> bool:
    """Anthropic refuses thoughts before a tool that it must call."""
    return request.get("tool_choice", {}).get("type") in {"any", "tool"}


def _make_room(request: Document, most: int | None) -> None:
    """No limit was asked for: let the default one leave room for an answer after the thoughts."""
    budget_tokens = request["thinking"]["budget_tokens"]
    if isinstance(budget_tokens, int):
        wanted = max(request["max_tokens"], budget_tokens + DEFAULT_MAX_TOKENS)
        request["max_tokens"] = min(wanted, most or wanted)


def _put_word(request: Document, model: str, effort: str) -> None:
    if effort == "none":
        request.setdefault("thinking", {"type": "disabled"})
        return
    request.setdefault("thinking", {"type": "adaptive"})
    request.setdefault("output_config", {}).setdefault("effort", effort_of(model, effort))


def forced_tool(doc: Mapping[str, Any]) -> str:
    """Name the tool that stands for a JSON schema at a model without schemas; "" for none."""
    wanted = doc.get("response_format")
    model = doc.get("model")
    if not isinstance(wanted, dict) or not isinstance(model, str) or has_schemas(model):
        return ""
    holder = wanted.get("json_schema")
    is_schema = wanted.get("type") == "json_schema" and isinstance(holder, dict)
    return str(holder.get("name")) if is_schema and holder else ""


def _put_format(request: Document, doc: Mapping[str, Any], model: str) -> None:
    config = as_object(doc.get("output_config"), "output_config")
    if config:
        request["output_config"] = dict(config)
    wanted = as_object(doc.get("response_format"), "response_format")
    kind = wanted.get("type", "text")
    if kind == "text":
        return
    if kind != "json_schema":
        hint = "Anthropic has no JSON mode: use response_format json_schema."
        raise refused("response_format", "asks for JSON without a schema", hint)
    where = "response_format.json_schema"
    holder = as_object(wanted.get("json_schema"), where)
    schema = as_object(holder.get("schema"), f"{where}.schema")
    if has_schemas(model):
        style = {"type": "json_schema", "schema": schema}
        request.setdefault("output_config", {}).setdefault("format", style)
        return
    if "tools" in request:
        hint = "Leave out 'tools' or the schema, or use a newer model."
        raise refused("response_format", "cannot be had together with tools here", hint)
    tool = {"name": text_field(holder, "name", where), "input_schema": schema}
    if isinstance(holder.get("description"), str):
        tool["description"] = holder["description"]
    request["tools"] = [tool]
    request["tool_choice"] = {"type": "tool", "name": tool["name"]}
