"""Reads a Converse request as the chat request it amounts to; refuses what Bedrock would.

Called by bedrock.py. Only what the mock's chat acts on is carried over; the rest is checked alone.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.mock.errors import MockError, missing, wrong_type

_TURNS = frozenset({"user", "assistant"})


def chat_of_converse(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the chat document. Raises MockError."""
    messages = [_system(_objects(document, "system"))] if document.get("system") else []
    for index, message in enumerate(_objects(document, "messages")):
        messages += _messages(message, f"messages.{index}")
    config = _object(document, "inferenceConfig")
    chat: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_completion_tokens": config.get("maxTokens"),
        "temperature": config.get("temperature"),
        "top_p": config.get("topP"),
        "stop": config.get("stopSequences"),
    }
    tools = _object(document, "toolConfig")
    if tools:
        chat["tools"] = [_tool(tool) for tool in _objects(tools, "tools") if "toolSpec" in tool]
        chat["tool_choice"] = _choice(_object(tools, "toolChoice"))
    elif any(message["role"] == "tool" for message in messages):
        text = "The toolConfig field must be defined when using toolUse and toolResult blocks."
        raise MockError(text)
    chat["response_format"] = _format(document)
    return {name: value for name, value in chat.items() if value is not None}


def _format(document: Mapping[str, Any]) -> dict[str, Any] | None:
    text_format = _object(_object(document, "outputConfig"), "textFormat")
    definition = _object(_object(text_format, "structure"), "jsonSchema")
    if not definition:
        return None
    try:
        schema = orjson.loads(definition.get("schema") or "")
    except (orjson.JSONDecodeError, TypeError) as error:
        raise MockError("outputConfig.textFormat holds no JSON schema.") from error
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    return value


def _objects(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = parent.get(name)
    if not isinstance(value, list) or not value:
        raise missing(name)
    for item in value:
        if not isinstance(item, dict):
            raise wrong_type(name, "an array of objects", item)
    return value


def _system(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [str(block["text"]) for block in blocks if "text" in block]
    return {"role": "system", "content": "\n".join(texts)}


def _messages(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """One turn may hold several results of tools: each is a message of chat's."""
    role = message.get("role")
    if not isinstance(role, str) or role not in _TURNS:
        raise MockError(f"{where}.role must be user or assistant.", param=f"{where}.role")
    messages: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in _objects(message, "content"):
        if "toolResult" in block:
            messages.append(_result(_object(block, "toolResult")))
        elif "toolUse" in block:
            calls.append(_call(_object(block, "toolUse")))
        elif "cachePoint" not in block:
            parts.append(_part(block))
    if parts or calls:
        turn: dict[str, Any] = {"role": role, "content": parts}
        messages.append({**turn, "tool_calls": calls} if calls else turn)
    return messages


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(block.get("text"), str):
        if not block["text"].strip():
            raise MockError("The text field in the ContentBlock object is blank.")
        return {"type": "text", "text": block["text"]}
    if "image" in block:
        return {"type": "image_url", "image_url": {"url": orjson.dumps(block["image"]).decode()}}
    return {"type": "text", "text": orjson.dumps(block).decode()}


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    content = orjson.dumps(result.get("content") or []).decode()
    return {"role": "tool", "tool_call_id": result.get("toolUseId"), "content": content}


def _call(use: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(use.get("input")).decode()
    function = {"name": use.get("name"), "arguments": arguments}
    return {"id": use.get("toolUseId"), "type": "function", "function": function}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    spec = _object(tool, "toolSpec")
    schema = _object(spec, "inputSchema").get("json")
    return {"type": "function", "function": {"name": spec.get("name"), "parameters": schema}}


def _choice(choice: Mapping[str, Any]) -> Any:
    if "tool" in choice:
        return {"type": "function", "function": {"name": _object(choice, "tool").get("name")}}
    return "required" if "any" in choice else "auto"
