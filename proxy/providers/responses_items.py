"""The input of a Responses request as chat messages; called by responses_request.py.

Reasoning items are left out: they are another model's, encrypted or not wanted back. Calls and
texts of one assistant turn become one message, because chat wants each call's output right after.
"""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.providers.responses_refusing import malformed, refusal
from proxy.providers.translation import Document

_ROLES = ("user", "assistant", "system", "developer")
_LEFT_OUT = ("reasoning",)


def messages_of(value: object) -> list[Document]:
    """Return the messages of `input`, a text or a list of items; raises UntranslatableError."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise malformed("input", "a text or a non-empty list of items")
    messages: list[Document] = []
    for place, item in enumerate(value):
        where = f"input[{place}]"
        if not isinstance(item, Mapping):
            raise malformed(where, "an object")
        _add(messages, item, where)
    return messages


def _add(messages: list[Document], item: Mapping[str, Any], where: str) -> None:
    kind = item.get("type") or "message"
    if kind in _LEFT_OUT:
        return
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise refusal(f"An item of type {str(kind)[:64]} has no counterpart in chat.", where)
    reader(messages, item, where)


def _add_message(messages: list[Document], item: Mapping[str, Any], where: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise malformed(f"{where}.role", f"one of {', '.join(_ROLES)}")
    if not isinstance(content, str):
        if not isinstance(content, list):
            raise malformed(f"{where}.content", "a text or a list of parts")
        content = [_part(part, f"{where}.content[{n}]") for n, part in enumerate(content)]
    if role == "assistant":
        _add_to_turn(messages, content)
    else:
        messages.append({"role": role, "content": content})


def _add_to_turn(messages: list[Document], content: str | list[Document]) -> None:
    """Add what an assistant said; beside calls still without output it joins their message."""
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and "tool_calls" in last:
        last["content"] = _as_parts(last["content"]) + _as_parts(content)
    else:
        messages.append({"role": "assistant", "content": content})


def _as_parts(content: str | list[Document] | None) -> list[Document]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def _part(part: object, where: str) -> Document:
    if not isinstance(part, Mapping):
        raise malformed(where, "an object")
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": _text(part, "text", where)}
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", where)}
        case "input_image":
            return _image(part, where)
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        case "input_file":
            return _file(part, where)
        case kind:
            raise refusal(f"A part of type {str(kind)[:64]} has no counterpart in chat.", where)


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise malformed(f"{where}.{name}", "a text")
    return value


def _image(part: Mapping[str, Any], where: str) -> Document:
    if part.get("file_id"):
        raise refusal("An image by file_id cannot be sent in chat; send its URL or data.", where)
    image = {"url": _text(part, "image_url", where)}
    if isinstance(part.get("detail"), str):
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any], where: str) -> Document:
    if part.get("file_url"):
        raise refusal("A file by URL cannot be sent in chat; send its data.", where)
    if part.get("file_id"):
        raise refusal("A file by file_id is known to one provider only; send its data.", where)
    named = {name: part[name] for name in ("file_data", "filename") if part.get(name)}
    return {"type": "file", "file": named}


def _add_call(messages: list[Document], item: Mapping[str, Any], where: str) -> None:
    is_custom = item["type"] == "custom_tool_call"
    kind, said = ("custom", "input") if is_custom else ("function", "arguments")
    inner = {"name": _text(item, "name", where), said: _text(item, said, where)}
    call = {"id": _text(item, "call_id", where), "type": kind, kind: inner}
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant":
        last.setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _add_output(messages: list[Document], item: Mapping[str, Any], where: str) -> None:
    output = item.get("output")
    if isinstance(output, list):
        output = [_part(part, f"{where}.output[{n}]") for n, part in enumerate(output)]
        if any(part["type"] != "text" for part in output):
            raise refusal("In chat a tool's output is text.", f"{where}.output")
    elif not isinstance(output, str):
        raise malformed(f"{where}.output", "a text or a list of parts")
    call_id = _text(item, "call_id", where)
    messages.append({"role": "tool", "tool_call_id": call_id, "content": output})


_READERS: dict[str, Callable[[list[Document], Mapping[str, Any], str], None]] = {
    "message": _add_message,
    "function_call": _add_call,
    "custom_tool_call": _add_call,
    "function_call_output": _add_output,
    "custom_tool_call_output": _add_output,
}
