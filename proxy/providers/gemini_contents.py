"""Turns chat messages into Gemini's contents and system instruction; called by gemini_request.py.

Instructions are gathered in `systemInstruction`; neighbours of one role become one turn; the
results of one round of calls stay one turn of their own, as Gemini wants them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from proxy.providers.gemini_parts import (
    check_depth,
    gemini_parts,
    image_parts,
    text_of_parts,
    untranslatable,
)
from proxy.providers.translation import Document, UntranslatableError

INSTRUCTIONS = frozenset({"system", "developer"})
# Google's word for a history whose calls another model made: it has no signature to send back.
NO_SIGNATURE = "skip_thought_signature_validator"

_Turn = tuple[str, bool, list[Document]]  # role, whether it holds call results, parts


def gemini_contents(messages: Any, *, needs_signatures: bool) -> Document:
    """Return `contents` and, where there are instructions, `systemInstruction`.

    `needs_signatures` is true for models that refuse calls without a thought signature. Raises
    UntranslatableError.
    """
    if not isinstance(messages, list) or not messages:
        raise UntranslatableError(
            "'messages' is not a list with a message in it.",
            "Send at least one message.",
            param="messages",
        )
    instructions: list[Document] = []
    contents: list[Document] = []
    was_result = False
    for role, is_result, parts in _turns(messages, needs_signatures=needs_signatures):
        if role in INSTRUCTIONS:
            instructions += parts
        elif contents and contents[-1]["role"] == role and was_result == is_result:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
            was_result = is_result
    if not contents:
        # Gemini refuses a request of instructions only; said by the user they are the same words.
        return {"contents": [{"role": "user", "parts": instructions or [{"text": ""}]}]}
    system = {"systemInstruction": {"parts": instructions}} if instructions else {}
    return {**system, "contents": contents}


def _turns(messages: list[Any], *, needs_signatures: bool) -> Iterator[_Turn]:
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise untranslatable(where, "is not an object")
        match message.get("role"):
            case "system" | "developer" as role:
                yield role, False, gemini_parts(message.get("content"), f"{where}.content")
            case "user":
                yield "user", False, gemini_parts(message.get("content"), f"{where}.content")
            case "assistant":
                parts = _answer_parts(message, where, names, needs_signatures=needs_signatures)
                yield "model", False, parts
            case "tool":
                yield "user", True, [_result_part(message, where, names)]
            case role:
                raise untranslatable(f"{where}.role", f"is {str(role)[:40]!r}")


def _answer_parts(
    message: Mapping[str, Any], where: str, names: dict[str, str], *, needs_signatures: bool
) -> list[Document]:
    """Return an earlier answer's parts, and remember under which ids it called what."""
    if message.get("function_call") is not None or message.get("audio") is not None:
        raise untranslatable(where, "holds a 'function_call' or 'audio'")
    parts = gemini_parts(message.get("content"), f"{where}.content")
    if not parts and isinstance(message.get("refusal"), str):
        parts = gemini_parts(message["refusal"], where)
    parts += image_parts(message.get("images"), f"{where}.images")
    signature = signature_of(message)
    if signature:
        parts = parts or [{"text": ""}]
        parts[-1]["thoughtSignature"] = signature
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise untranslatable(f"{where}.tool_calls", "is not a list")
    made = [
        _call_part(call, f"{where}.tool_calls[{index}]", names) for index, call in enumerate(calls)
    ]
    if made and needs_signatures:
        made[0].setdefault("thoughtSignature", NO_SIGNATURE)
    return parts + made


def _call_part(call: Any, where: str, names: dict[str, str]) -> Document:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise untranslatable(where, "is not a call of a function")
    part: Document = {
        "functionCall": {
            "name": function["name"],
            "args": _arguments(function.get("arguments"), f"{where}.function.arguments"),
        }
    }
    if isinstance(call.get("id"), str):
        part["functionCall"]["id"] = call["id"]
        names[call["id"]] = function["name"]
    signature = signature_of(call)
    if signature:
        part["thoughtSignature"] = signature
    return part


def _arguments(text: Any, where: str) -> dict[str, Any]:
    if text is None or text == "":
        return {}
    try:
        arguments = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise untranslatable(where, "is not the JSON text of an object")
    check_depth(arguments, where)
    return arguments


def _result_part(message: Mapping[str, Any], where: str, names: Mapping[str, str]) -> Document:
    call_id = message.get("tool_call_id")
    name = names.get(call_id) if isinstance(call_id, str) else None
    name = name or message.get("name")
    if not isinstance(call_id, str) or not isinstance(name, str):
        raise untranslatable(f"{where}.tool_call_id", "answers no call of an earlier message")
    parts = gemini_parts(message.get("content"), f"{where}.content")
    response = _response(text_of_parts(parts))
    check_depth(response, where)
    result: Document = {"id": call_id, "name": name, "response": response}
    media = [part for part in parts if "text" not in part]
    if media:
        result["parts"] = media
    return {"functionResponse": result}


def _response(text: str) -> dict[str, Any]:
    """Return what a tool answered as the object Gemini wants: its own, or its text as `output`."""
    if text.lstrip().startswith("{"):
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            document = None
        if isinstance(document, dict):
            return document
    return {"output": text}


def signature_of(holder: Mapping[str, Any]) -> str | None:
    """Return `extra_content.google.thought_signature`, where Google's own OpenAI door has it."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    return signature if isinstance(signature, str) and signature else None
