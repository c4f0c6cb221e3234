"""A chat completion as a Response; called by responses_to_chat.py and responses_stream.py.

Ids follow from the chat id, so that an answer translated twice is the same answer.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from proxy.providers.chat_source import text_of
from proxy.providers.translation import Document

_ECHOED: Document = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}
_ECHOED_IF_ASKED = (
    "max_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
    "top_logprobs", "user",
)  # fmt: skip
_USAGE_NAMES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "prompt_tokens_details": "input_tokens_details",
    "completion_tokens_details": "output_tokens_details",
}
_FORCED = {"length": "max_output_tokens", "content_filter": "content_filter"}
REASONING_FIELDS = ("reasoning_content", "reasoning")


def stem_of(chat_id: object) -> str:
    """The part all ids of one answer share: 32 hex digits that follow from the chat id."""
    return hashlib.sha256(str(chat_id).encode(errors="replace")).hexdigest()[:32]


def response_of(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """Return the Response of a whole chat completion; ValueError when it is none."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ValueError("a chat completion has a choice with a message")
    response = frame_of(document, asked)
    ending = choice.get("finish_reason")
    status = "incomplete" if ending in _FORCED else "completed"
    response["output"] = _items(message, choice, stem_of(document.get("id")), status)
    return ended(response, ending, document.get("usage"))


def frame_of(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """Make a Response in progress, without output, from a chat document or chunk."""
    created = document.get("created")
    text = asked.get("text")
    wanted = dict(text) if isinstance(text, Mapping) else {}
    reasoning = asked.get("reasoning")
    frame: Document = {
        "id": f"resp_{stem_of(document.get('id'))}",
        "object": "response",
        "created_at": created if isinstance(created, int) else 0,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": document.get("model") or asked.get("model"),
        "output": [],
        "previous_response_id": None,
        "reasoning": dict(reasoning) if isinstance(reasoning, Mapping) else None,
        "service_tier": document.get("service_tier"),
        "store": False,
        "text": {"format": {"type": "text"}, **wanted},
        "usage": None,
    }
    for name, default in _ECHOED.items():
        frame[name] = default if asked.get(name) is None else asked[name]
    return frame | {name: asked[name] for name in _ECHOED_IF_ASKED if asked.get(name) is not None}


def ended(response: Document, finish_reason: object, usage: object) -> Document:
    """Return the Response with its ending and usage filled in."""
    reason = _FORCED.get(finish_reason) if isinstance(finish_reason, str) else None
    last = response | {"usage": usage_of(usage), "status": "completed"}
    if reason:
        return last | {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return last | {"completed_at": response["created_at"]}


def usage_of(usage: object) -> Document | None:
    """Usage in the words of Responses: names change, every count stays; None when there is none."""
    if not isinstance(usage, Mapping) or not usage:
        return None
    said: Document = {_USAGE_NAMES.get(name) or str(name): value for name, value in usage.items()}
    for name, least in (
        ("input_tokens_details", {"cached_tokens": 0, "cache_write_tokens": 0}),
        ("output_tokens_details", {"reasoning_tokens": 0}),
    ):
        given = said.get(name)
        said[name] = {**least, **given} if isinstance(given, Mapping) else least
    return said


def _items(message: Document, choice: Document, stem: str, status: str) -> list[Document]:
    items: list[Document] = []
    thought = next((t for name in REASONING_FIELDS if (t := text_of(message.get(name)))), "")
    if thought:
        items.append(reasoning_item(f"rs_{stem}_0", thought))
    calls = message.get("tool_calls")
    calls = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    parts = _parts(message, choice)
    if parts or not calls:
        items.append(message_item(f"msg_{stem}_{len(items)}", parts, status))
    first = len(items)
    items += [call_item(call, f"{stem}_{n}", status) for n, call in enumerate(calls, first)]
    return items


def _parts(message: Document, choice: Document) -> list[Document]:
    parts: list[Document] = []
    text, refused = text_of(message.get("content")), text_of(message.get("refusal"))
    if text:
        part = text_part(text, logprobs_in(choice))
        part["annotations"] = _annotations(message.get("annotations"))
        parts.append(part)
    if refused:
        parts.append({"type": "refusal", "refusal": refused})
    return parts


def _annotations(given: object) -> list[Document]:
    """Citations are nested under their type in chat and flat in Responses."""
    flat: list[Document] = []
    for each in given if isinstance(given, list) else ():
        kind = each.get("type") if isinstance(each, dict) else None
        inner = each.get(kind) if isinstance(kind, str) else None
        if isinstance(inner, dict):
            flat.append({"type": kind, **inner})
    return flat


def logprobs_in(choice: Mapping[str, Any]) -> list[Document]:
    """The log probabilities of the text of a choice or of a piece of it: both dialects' form."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else []


def text_part(text: str, logprobs: list[Document]) -> Document:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def message_item(name: str, parts: list[Document], status: str) -> Document:
    head = {"id": name, "type": "message", "role": "assistant", "status": status}
    return head | {"content": parts}


def reasoning_item(name: str, text: str) -> Document:
    content = [{"type": "reasoning_text", "text": text}]
    return {
        "id": name, "type": "reasoning", "summary": [], "content": content, "status": "completed"
    }  # fmt: skip


def call_item(call: Mapping[str, Any], suffix: str, status: str) -> Document:
    """A tool call of chat as an item; ids that are missing are made from the suffix."""
    custom = call.get("custom")
    given = custom if isinstance(custom, dict) else call.get("function")
    inner = given if isinstance(given, dict) else {}
    said = "input" if isinstance(custom, dict) else "arguments"
    kind, short = ("custom_tool_call", "ctc") if said == "input" else ("function_call", "fc")
    return {
        "id": f"{short}_{suffix}",
        "type": kind,
        "status": status,
        "call_id": text_of(call.get("id")) or f"call_{suffix}",
        "name": text_of(inner.get("name")),
        said: text_of(inner.get(said)),
    }
