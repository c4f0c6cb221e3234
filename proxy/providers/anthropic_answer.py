"""Whole answers: Anthropic's message to a chat completion. Called by anthropic_translator.py.

Thoughts come as `reasoning_content` to read and as `thinking_blocks`, signed, to send back. Blocks
of tools that Anthropic runs itself are left out: what they found is in the text and its citations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.providers.anthropic_usage import TIERS_UP, chat_usage
from proxy.providers.messages_checks import text_or_empty
from proxy.providers.translation import Document

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


@dataclass(slots=True)
class _Content:
    """What the blocks of a message amount to."""

    texts: list[str] = field(default_factory=list)
    characters: int = 0
    thoughts: list[str] = field(default_factory=list)
    thinking_blocks: list[Document] = field(default_factory=list)
    calls: list[Document] = field(default_factory=list)
    annotations: list[Document] = field(default_factory=list)

    def add(self, block: Mapping[str, Any], schema_tool: str) -> None:
        match block.get("type"):
            case "text":
                self._add_text(block)
            case "thinking" | "redacted_thinking":
                self.thinking_blocks.append(dict(block))
                if isinstance(block.get("thinking"), str):
                    self.thoughts.append(block["thinking"])
            case "tool_use" if schema_tool and block.get("name") == schema_tool:
                self.texts.append(_json(block.get("input")))
            case "tool_use":
                arguments = _json(block.get("input"))
                self.calls.append(tool_call(block.get("id"), block.get("name"), arguments))

    def _add_text(self, block: Mapping[str, Any]) -> None:
        text = text_or_empty(block.get("text"))
        start, self.characters = self.characters, self.characters + len(text)
        self.texts.append(text)
        citations = block.get("citations")
        for citation in citations if isinstance(citations, list) else ():
            annotation = url_citation(citation, start, self.characters)
            if annotation is not None:
                self.annotations.append(annotation)


def _json(value: object) -> str:
    try:
        return orjson.dumps(value if isinstance(value, dict) else {}).decode()
    except orjson.JSONEncodeError as error:
        raise ValueError("a tool's input is nested too deep") from error


def tool_call(call_id: object, name: object, arguments: str) -> Document:
    function = {"name": text_or_empty(name), "arguments": arguments}
    return {"id": text_or_empty(call_id), "type": "function", "function": function}


def url_citation(citation: object, start: int, end: int) -> Document | None:
    """Return the annotation for a citation of a web page; None for citations of other things."""
    if not isinstance(citation, dict) or not isinstance(citation.get("url"), str):
        return None
    fields = {
        "url": citation["url"],
        "title": text_or_empty(citation.get("title")),
        "start_index": start,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": fields}


def finish_reason_of(stop_reason: object, *, has_schema_tool: bool = False) -> str:
    """Return OpenAI's word; reasons nobody knows yet are a plain stop."""
    reason = FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"
    return "stop" if has_schema_tool and reason == "tool_calls" else reason


def refusal_text(stop_details: object) -> str | None:
    """Return why the model refused, where it says so."""
    explanation = stop_details.get("explanation") if isinstance(stop_details, dict) else None
    return explanation if isinstance(explanation, str) else None


def to_completion(message: Mapping[str, Any], schema_tool: str, created_s: int) -> Document:
    """Return the chat completion; ValueError when it is no message."""
    blocks = message.get("content")
    if message.get("type") != "message" or not isinstance(blocks, list):
        raise ValueError("the document is not a message of Anthropic's")
    content = _Content()
    for block in blocks:
        if isinstance(block, dict):
            content.add(block, schema_tool)
    reason = finish_reason_of(message.get("stop_reason"), has_schema_tool=bool(schema_tool))
    choice = {
        "index": 0,
        "message": _message_of(content, message),
        "logprobs": None,
        "finish_reason": reason,
    }
    completion: Document = {
        "id": text_or_empty(message.get("id")),
        "object": "chat.completion",
        "created": created_s,
        "model": text_or_empty(message.get("model")),
        "choices": [choice],
    }
    raw_usage = message.get("usage")
    raw_usage = raw_usage if isinstance(raw_usage, dict) else {}
    usage = chat_usage(raw_usage)
    if usage is not None:
        completion["usage"] = usage
    tier = raw_usage.get("service_tier")
    if isinstance(tier, str):
        completion["service_tier"] = TIERS_UP.get(tier, tier)
    return completion


def _message_of(content: _Content, message: Mapping[str, Any]) -> Document:
    text = "".join(content.texts)
    result: Document = {
        "role": "assistant",
        "content": text or (None if content.calls or not content.texts else ""),
        "refusal": refusal_text(message.get("stop_details")),
    }
    if content.annotations:
        result["annotations"] = content.annotations
    if content.thoughts:
        result["reasoning_content"] = "".join(content.thoughts)
    if content.thinking_blocks:
        result["thinking_blocks"] = content.thinking_blocks
    if content.calls:
        result["tool_calls"] = content.calls
    return result
