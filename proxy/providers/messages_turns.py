"""Anthropic's system prompt and turns as chat messages; called by messages_request.py.

A tool's result becomes a message of role tool, in front of what else the user says. Such messages
hold text only, so a result's images follow in the user's message.
"""

from typing import Any

from proxy.providers.messages_checks import (
    as_list,
    as_object,
    dump_arguments,
    objects,
    refused,
    text_field,
)
from proxy.providers.messages_parts import Parts, part_of, parts_of, simplest, text_part
from proxy.providers.translation import Document

ERROR_MARK = "Error: "


def read_system(system: Any) -> list[Document]:
    """Return the system message, if there is one."""
    parts = [part for part in parts_of(system, "system") if part.get("text") != ""]
    return [{"role": "system", "content": simplest(parts)}] if parts else []


def read_turns(value: Any) -> list[Document]:
    """Return the chat messages of all turns."""
    messages: list[Document] = []
    for where, turn in objects(value, "messages"):
        role = turn.get("role")
        if role == "assistant":
            messages += _assistant(turn.get("content"), f"{where}.content")
        elif role == "user":
            messages += _user(turn.get("content"), f"{where}.content")
        elif role == "system":
            messages += [
                {**message, "role": "system"} for message in read_system(turn.get("content"))
            ]
        else:
            raise refused(f"{where}.role", "must be user or assistant", "Use 'system' at the top.")
    return messages


def _user(content: Any, where: str) -> list[Document]:
    if not isinstance(content, list):
        return [{"role": "user", "content": simplest(parts_of(content, where))}]
    results: list[Document] = []
    parts: Parts = []
    for place, block in objects(content, where):
        if block.get("type") == "tool_result":
            message, images = _tool_result(block, place)
            results.append(message)
            parts += images
        else:
            parts.append(part_of(block, place))
    return [*results, {"role": "user", "content": simplest(parts)}] if parts else results


def _tool_result(block: dict[str, Any], where: str) -> tuple[Document, Parts]:
    """Return the message of role tool, and the parts that it cannot hold."""
    tool_use_id = text_field(block, "tool_use_id", where)
    parts = parts_of(block.get("content"), f"{where}.content")
    texts = [part for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    content = simplest(texts) if texts else ""
    if block.get("is_error") is True:
        content = _marked(content)
    if others:
        others.insert(0, text_part(f"Images and files of the tool result {tool_use_id}:"))
    return {"role": "tool", "tool_call_id": tool_use_id, "content": content}, others


def _marked(content: str | Parts) -> str | Parts:
    """Chat has no field that says a tool failed: the text must."""
    if isinstance(content, str):
        return content if content.lower().startswith("error") else ERROR_MARK + content
    return [text_part(ERROR_MARK.strip()), *content]


def _assistant(content: Any, where: str) -> list[Document]:
    """Return one message; thoughts are left out: they are signed for one provider only."""
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    texts: list[str] = []
    calls: list[Document] = []
    for index, block in enumerate(as_list(content, where)):
        place = f"{where}[{index}]"
        match as_object(block, place).get("type"):
            case "text":
                texts.append(text_field(block, "text", place))
            case "tool_use":
                calls.append(_tool_call(block, place))
            case "thinking" | "redacted_thinking":
                continue
            case _:
                hint = "Leave out the blocks of tools that Anthropic runs itself."
                raise refused(place, "cannot be sent to this model", hint)
    if not texts and not calls:
        return []
    message: Document = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    return [message]


def _tool_call(block: dict[str, Any], where: str) -> Document:
    place = f"{where}.input"
    arguments = dump_arguments(as_object(block.get("input"), place), place)
    function = {"name": text_field(block, "name", where), "arguments": arguments}
    return {"id": text_field(block, "id", where), "type": "function", "function": function}
