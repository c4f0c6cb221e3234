"""Chat messages as Anthropic's system prompt and turns; called by anthropic_request.py.

System and developer messages are collected in front. Tool results become blocks of a user's turn,
and neighbours of one role become one turn: parallel results must come together.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.anthropic_parts import blocks_of
from proxy.providers.messages_checks import objects, parse_arguments, refused, text_field
from proxy.providers.translation import Document, add_turn

SYSTEM_ROLES = frozenset({"system", "developer"})
LEGACY_HINT = "Use 'tools' and messages of role 'tool'."


def read_messages(value: Any) -> tuple[str | list[Document], list[Document]]:
    """Return the system prompt ("" for none) and the turns."""
    system: list[Document] = []
    turns: list[Document] = []
    for where, message in objects(value, "messages"):
        role = text_field(message, "role", where)
        if role in SYSTEM_ROLES:
            system += blocks_of(message.get("content"), f"{where}.content")
        else:
            add_turn(turns, *_turn(role, message, where))
    if not turns:
        raise refused("messages", "holds nothing but instructions", "Add a user's message.")
    return _simplest(system), [_simple_turn(turn) for turn in turns]


def _turn(role: str, message: dict[str, Any], where: str) -> tuple[str, list[Document]]:
    match role:
        case "user":
            return "user", blocks_of(message.get("content"), f"{where}.content")
        case "assistant":
            return "assistant", _assistant_blocks(message, where)
        case "tool":
            return "user", [_tool_result(message, where)]
        case "function":
            raise refused(f"{where}.role", "'function' is out of date", LEGACY_HINT)
        case _:
            hint = "Roles are system, developer, user, assistant and tool."
            raise refused(f"{where}.role", "is not a known role", hint)


def _simplest(blocks: list[Document]) -> str | list[Document]:
    """A lone plain text goes as a string, as most callers would write it."""
    if not blocks:
        return ""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _simple_turn(turn: Document) -> Document:
    return {"role": turn["role"], "content": _simplest(turn["content"])}


def _assistant_blocks(message: dict[str, Any], where: str) -> list[Document]:
    if message.get("function_call") is not None:
        raise refused(f"{where}.function_call", "is out of date", LEGACY_HINT)
    blocks = _thinking_blocks(message, where)
    blocks += blocks_of(message.get("content"), f"{where}.content")
    calls = objects(message.get("tool_calls"), f"{where}.tool_calls")
    return blocks + [_tool_use(call, place) for place, call in calls]


def _thinking_blocks(message: Mapping[str, Any], where: str) -> list[Document]:
    """Give back the thoughts of an earlier answer; without their signature they are not wanted."""
    blocks: list[Document] = []
    for _, block in objects(message.get("thinking_blocks"), f"{where}.thinking_blocks"):
        if block.get("type") == "redacted_thinking":
            blocks.append({"type": "redacted_thinking", "data": block.get("data") or ""})
        elif block.get("signature"):
            thinking = block.get("thinking") or ""  # a model may keep the text to itself
            signed = {"type": "thinking", "thinking": thinking, "signature": block["signature"]}
            blocks.append(signed)
    return blocks


def _tool_use(call: dict[str, Any], where: str) -> Document:
    function = call.get("function")
    if not isinstance(function, dict):
        raise refused(
            where, "is not a call of a function", "Anthropic's tools take JSON arguments."
        )
    return {
        "type": "tool_use",
        "id": text_field(call, "id", where),
        "name": text_field(function, "name", f"{where}.function"),
        "input": parse_arguments(function.get("arguments"), f"{where}.function.arguments"),
    }


def _tool_result(message: dict[str, Any], where: str) -> Document:
    block: Document = {
        "type": "tool_result",
        "tool_use_id": text_field(message, "tool_call_id", where),
    }
    content = _simplest(blocks_of(message.get("content"), f"{where}.content"))
    if content:
        block["content"] = content
    if message.get("cache_control") is not None:
        block["cache_control"] = message["cache_control"]
    return block
