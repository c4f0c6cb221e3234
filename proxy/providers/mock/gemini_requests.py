"""Reads a generateContent request as the mock's chat request; called by gemini_chat.py.

The mock composes one kind of answer. So the same conversation gets the same tools called and the
same schemas filled in either dialect.
"""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from proxy.providers.mock.completions import ChatRequest, read_chat_request
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.gemini_fields import (
    CALL,
    CONFIG,
    DECLARATION,
    PART,
    REQUEST,
    RESULT,
    camel_names,
    known_object,
    list_at,
    object_at,
)
from proxy.providers.mock.text import draw
from proxy.providers.mock.validation import parse_body

THINKING_STEP_TOKENS = 64
_LEVEL_STEPS = {"MINIMAL": 0, "LOW": 1, "MEDIUM": 3, "HIGH": 6}
_SAME_VALUES = {
    "temperature": "temperature", "topP": "top_p", "candidateCount": "n", "seed": "seed",
    "maxOutputTokens": "max_completion_tokens", "stopSequences": "stop",
    "presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty",
}  # fmt: skip
_CHOICES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_ANY_JSON = {"type": "object", "properties": {"answer": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class GeminiRequest:
    """A checked request: what to compose, the thoughts before it, and whether they are shown."""

    chat: ChatRequest
    thinking_tokens: int
    shows_thoughts: bool
    service_tier: str


def read_gemini_request(model: str, body: bytes) -> GeminiRequest:
    """Read a body; MockError when Google would refuse it."""
    document = known_object(camel_names(parse_body(body)), REQUEST, "request")
    config = known_object(document.get("generationConfig") or {}, CONFIG, "generation_config")
    chat = read_chat_request(orjson.dumps(chat_document(model, document, config)))
    thinking = object_at(config, "thinkingConfig")
    tokens = _thinking_tokens(model, thinking, chat)
    if chat.limit_tokens is not None:
        tokens = min(tokens, chat.limit_tokens)
        chat = replace(chat, limit_tokens=chat.limit_tokens - tokens)
    is_shown = thinking.get("includeThoughts") is True
    return GeminiRequest(chat, tokens, is_shown, str(document.get("serviceTier") or "standard"))


def _thinking_tokens(model: str, thinking: dict[str, Any], chat: ChatRequest) -> int:
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        raise MockError("thinking_budget and thinking_level cannot both be set.")
    if level is not None and str(level).upper() not in _LEVEL_STEPS:
        raise MockError(f"Invalid value at 'thinking_level': {str(level)[:40]}.")
    if budget == 0 or not model.startswith(("gemini-2.5", "gemini-3", "gemini-4")):
        return 0
    steps = _LEVEL_STEPS[str(level or "MEDIUM").upper()]
    tokens = THINKING_STEP_TOKENS * (steps + draw(chat.seed, "thinking", 3) if steps else 0)
    return min(tokens, budget) if isinstance(budget, int) and budget > 0 else tokens


def chat_document(model: str, document: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the chat request that asks the same."""
    contents = list_at(document, "contents", "")
    if not contents:
        raise MockError("GenerateContentRequest.contents: contents is not specified")
    messages = _messages({**object_at(document, "systemInstruction"), "role": "system"})
    for content in contents:
        messages += _messages(content)
    chat: dict[str, Any] = {"model": model, "messages": messages}
    chat |= {ours: config[theirs] for theirs, ours in _SAME_VALUES.items() if theirs in config}
    if config.get("responseMimeType") == "application/json":
        schema = config.get("responseJsonSchema") or _lowered(config.get("responseSchema"))
        holder = {"name": "answer", "schema": schema or _ANY_JSON}
        chat["response_format"] = {"type": "json_schema", "json_schema": holder}
    if config.get("responseLogprobs"):
        chat |= {"logprobs": True, "top_logprobs": config.get("logprobs") or 0}
    return chat | _tools(document)


def _messages(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, dict):
        raise MockError("Invalid value at 'contents': expected an object.")
    role = content.get("role", "user")
    if role not in ("user", "model", "function", "system"):
        raise MockError("Please use a valid role: user, model.")
    parts = [known_object(part, PART, "contents.parts") for part in list_at(content, "parts", "")]
    if not parts and role != "system":
        raise MockError("Unable to submit request because it must have a parts field.")
    results = [_result(part["functionResponse"]) for part in parts if "functionResponse" in part]
    shown = [shown for part in parts if (shown := _chat_part(part)) is not None]
    calls = [_call(part["functionCall"]) for part in parts if "functionCall" in part]
    if role == "model":
        message = {"role": "assistant", "content": shown or None}
        return [message | ({"tool_calls": calls} if calls else {})]
    said = "system" if role == "system" else "user"
    return results + ([{"role": said, "content": shown}] if shown else [])


def _chat_part(part: dict[str, Any]) -> dict[str, Any] | None:
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    blob = part.get("inlineData") or part.get("fileData")
    if not isinstance(blob, dict):
        return None
    if str(blob.get("mimeType")).startswith("audio/"):
        return {"type": "input_audio", "input_audio": {"data": blob.get("data", "")}}
    return {"type": "image_url", "image_url": blob}


def _result(value: Any) -> dict[str, Any]:
    result = known_object(value, RESULT, "function_response")
    text = orjson.dumps(result.get("response")).decode()
    name = str(result.get("id") or result.get("name"))
    return {"role": "tool", "tool_call_id": name, "content": text}


def _call(value: Any) -> dict[str, Any]:
    call = known_object(value, CALL, "function_call")
    arguments = orjson.dumps(call.get("args") or {}).decode()
    return {"type": "function", "function": {"name": call.get("name"), "arguments": arguments}}


def _tools(document: dict[str, Any]) -> dict[str, Any]:
    functions = [
        _function(known_object(item, DECLARATION, "function_declarations"))
        for tool in list_at(document, "tools", "")
        if isinstance(tool, dict)
        for item in list_at(tool, "functionDeclarations", "tools.")
    ]
    config = object_at(object_at(document, "toolConfig"), "functionCallingConfig")
    names = list_at(config, "allowedFunctionNames", "functionCallingConfig.")
    if names:
        functions = [item for item in functions if item["name"] in names]
    if not functions:
        return {}
    tools = [{"type": "function", "function": function} for function in functions]
    return {"tools": tools, "tool_choice": _CHOICES.get(str(config.get("mode")), "auto")}


def _function(declaration: dict[str, Any]) -> dict[str, Any]:
    schema = declaration.get("parametersJsonSchema") or _lowered(declaration.get("parameters"))
    return {"name": declaration.get("name"), "parameters": schema}


def _lowered(schema: Any, depth: int = 0) -> Any:
    """Return Google's older schema as a JSON schema: its types are written in capitals."""
    if depth > 32:
        raise MockError("A schema is nested too deeply.")
    if isinstance(schema, list):
        return [_lowered(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {name: _lowered(value, depth + 1) for name, value in schema.items()}
    if isinstance(schema.get("type"), str):
        lowered["type"] = schema["type"].lower()
    return lowered
