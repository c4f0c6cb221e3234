"""Chat messages as Converse's system blocks and turns; called by bedrock_request.py.

System and developer messages are collected in front. Tool results become blocks of a user's turn,
and neighbours of one role become one turn: Bedrock wants turns to alternate.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.bedrock_checks import objects, refused, text_field
from proxy.providers.bedrock_parts import blocks_of, cache_points
from proxy.providers.translation import Document, add_turn

SYSTEM_ROLES = frozenset({"system", "developer"})
LEGACY_HINT = "Use 'tools' and messages of role 'tool'."


def read_messages(value: Any) -> tuple[list[Document], list[Document]]:
    """Return the system blocks and the turns. Raises UntranslatableError."""
    system: list[Document] = []
    turns: list[Document] = []
    for where, message in objects(value, "messages"):
        role = message.get("role")
        if isinstance(role, str) and role in SYSTEM_ROLES:
            system += _system_blocks(message, where)
        else:
            add_turn(turns, *_turn(role, message, where))
    if not turns:
        raise refused("messages", "holds nothing but instructions", "Add a user's message.")
    return system, turns


def _system_blocks(message: Document, where: str) -> list[Document]:
    blocks = blocks_of(message.get("content"), f"{where}.content")
    if any(not block.keys() & {"text", "cachePoint"} for block in blocks):
        hint = "Move pictures and documents to a user's message."
        raise refused(f"{where}.content", "holds more than text", hint)
    return blocks + cache_points(message)


def _turn(role: Any, message: Document, where: str) -> tuple[str, list[Document]]:
    match role:
        case "user":
            blocks = blocks_of(message.get("content"), f"{where}.content")
            return "user", blocks + cache_points(message)
        case "assistant":
            return "assistant", _assistant_blocks(message, where)
        case "tool":
            return "user", [_tool_result(message, where), *cache_points(message)]
        case "function":
            raise refused(f"{where}.role", "'function' is out of date", LEGACY_HINT)
        case _:
            hint = "Roles are system, developer, user, assistant and tool."
            raise refused(f"{where}.role", "is not a known role", hint)


def _assistant_blocks(message: Document, where: str) -> list[Document]:
    if message.get("function_call") is not None:
        raise refused(f"{where}.function_call", "is out of date", LEGACY_HINT)
    blocks = _thoughts(message, where)
    blocks += blocks_of(message.get("content"), f"{where}.content")
    calls = objects(message.get("tool_calls"), f"{where}.tool_calls")
    return [*blocks, *(_tool_use(call, place) for place, call in calls), *cache_points(message)]


def _thoughts(message: Mapping[str, Any], where: str) -> list[Document]:
    """Give back the thoughts of an earlier answer; without their signature they are not wanted."""
    blocks: list[Document] = []
    for _, block in objects(message.get("thinking_blocks"), f"{where}.thinking_blocks"):
        if block.get("type") == "redacted_thinking":
            content: Document = {"redactedContent": block.get("data")}
        elif block.get("signature"):
            text = {"text": block.get("thinking") or "", "signature": block["signature"]}
            content = {"reasoningText": text}
        else:
            continue
        blocks.append({"reasoningContent": content})
    return blocks


def _tool_use(call: Document, where: str) -> Document:
    function = call.get("function")
    if not isinstance(function, dict):
        raise refused(where, "is not a call of a function", "Bedrock's tools take JSON arguments.")
    place = f"{where}.function"
    return {
        "toolUse": {
            "toolUseId": text_field(call, "id", where),
            "name": text_field(function, "name", place),
            "input": _arguments(function.get("arguments"), f"{place}.arguments"),
        }
    }


def _arguments(text: Any, where: str) -> Document:
    try:
        value = orjson.loads(text or "{}")
    except (orjson.JSONDecodeError, TypeError):
        value = None
    if not isinstance(value, dict):
        raise refused(where, "is not the JSON text of an object", "Repeat the call as it came.")
    return value


def _tool_result(message: Document, where: str) -> Document:
    content = [
        block
        for block in blocks_of(message.get("content"), f"{where}.content")
        if "cachePoint" not in block
    ]
    return {
        "toolResult": {
            "toolUseId": text_field(message, "tool_call_id", where),
            "content": content,
        }
    }
