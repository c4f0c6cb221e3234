"""A chat request as a Converse request; called by bedrock.py.

Model and streaming are no part of the body: they are in the path. Converse's own settings
(guardrailConfig and the like) pass as they are.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.bedrock_checks import as_object, check_fields, refused, text_field
from proxy.providers.bedrock_reasoning import claude_version, put_reasoning
from proxy.providers.bedrock_tools import tool_config
from proxy.providers.bedrock_turns import read_messages
from proxy.providers.translation import Document

PASSED = (
    "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig",
    "outputConfig", "performanceConfig", "promptVariables", "requestMetadata",
)  # fmt: skip
OBJECTS = frozenset({"additionalModelRequestFields", "outputConfig"})  # added to below
# Settings of the models themselves, which Converse hands through to them.
MODEL_FIELDS = ("thinking", "top_k", "anthropic_beta")
TIERS = {"default": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}
ANY_TIER = frozenset({None, "auto"})


def to_converse(doc: Mapping[str, Any]) -> Document:
    """Return the body of a Converse request. Raises UntranslatableError."""
    check_fields(doc)
    model = text_field(doc, "model", "request")
    system, turns = read_messages(doc.get("messages"))
    request: Document = {
        name: as_object(doc[name], name) if name in OBJECTS else doc[name]
        for name in PASSED
        if doc.get(name) is not None
    }
    request["messages"] = turns
    optional = {
        "system": system,
        "inferenceConfig": _inference(doc),
        "toolConfig": tool_config(doc, turns),
        "serviceTier": _tier(doc.get("service_tier")),
    }
    request |= {name: value for name, value in optional.items() if value}
    fields = {name: doc[name] for name in MODEL_FIELDS if doc.get(name) is not None}
    fields |= _one_call_at_a_time(doc, request.get("toolConfig"), model)
    if fields:
        given = request.get("additionalModelRequestFields", {})
        request["additionalModelRequestFields"] = {**fields, **given}
    text_format = _text_format(doc.get("response_format"))
    if text_format:
        request["outputConfig"] = {"textFormat": text_format, **request.get("outputConfig", {})}
    put_reasoning(request, doc, model)
    return request


def _inference(doc: Mapping[str, Any]) -> Document:
    config: Document = {}
    limit = doc.get("max_completion_tokens") or doc.get("max_tokens")
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise refused("max_completion_tokens", "is no count of tokens", "Write 1 or more.")
        config["maxTokens"] = limit
    for ours, theirs in (("temperature", "temperature"), ("top_p", "topP")):
        if doc.get(ours) is not None:
            config[theirs] = _number(doc[ours], ours)
    if doc.get("stop"):
        config["stopSequences"] = _stops(doc["stop"])
    return config


def _number(value: Any, name: str) -> float:
    """A number from 0 to 1: more is refused, since it could only be sent as something else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise refused(name, "is not from 0 to 1", "Bedrock's scale ends at 1; scale yours down.")
    return value


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(text, str) and text for text in stops):
        raise refused("stop", "is neither a text nor an array of texts", "Send texts.")
    return stops


def _tier(tier: Any) -> Document | None:
    if tier in ANY_TIER if tier is None or isinstance(tier, str) else False:
        return None
    if not isinstance(tier, str) or tier not in TIERS:
        hint = f"Use auto, {', '.join(TIERS)}."
        raise refused("service_tier", "is not offered by Bedrock", hint)
    return {"type": TIERS[tier]}


def _one_call_at_a_time(doc: Mapping[str, Any], tools: Document | None, model: str) -> Document:
    """Of the models on Bedrock Claude alone can be told to call one tool at a time."""
    if doc.get("parallel_tool_calls") is not False or tools is None:
        return {}
    if claude_version(model) == (0, 0):
        hint = "Leave it out; of Bedrock's models Claude alone honours it."
        raise refused("parallel_tool_calls", "false cannot be honoured by this model", hint)
    choice = tools.get("toolChoice", {"auto": {}})
    (kind,) = choice
    wanted = {"type": kind, **choice[kind], "disable_parallel_tool_use": True}
    tools.pop("toolChoice", None)  # said once, in the model's own words
    return {"tool_choice": wanted}


def _text_format(wanted: Any) -> Document | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return None
    if kind != "json_schema":
        hint = "Use json_schema, or ask for JSON in the prompt."
        raise refused("response_format", "cannot be honoured by Bedrock", hint)
    holder = as_object(wanted.get("json_schema"), "response_format.json_schema")
    schema = as_object(holder.get("schema"), "response_format.json_schema.schema")
    definition: Document = {"schema": orjson.dumps(schema).decode()}
    for name in ("name", "description"):
        if isinstance(holder.get(name), str):
            definition[name] = holder[name]
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}
