"""Converse's whole answers, usage and errors in chat's words; used by bedrock.py and its streams.

Thoughts come as `reasoning_content` to read and as `thinking_blocks`, signed, to send back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.providers.translation import Document

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
ERROR_TYPES = {
    "ValidationException": "invalid_request_error",
    "AccessDeniedException": "permission_error",
    "UnrecognizedClientException": "authentication_error",
    "ResourceNotFoundException": "not_found_error",
    "ThrottlingException": "rate_limit_error",
    "ServiceQuotaExceededException": "rate_limit_error",
    "ServiceUnavailableException": "overloaded_error",
    "ModelNotReadyException": "overloaded_error",
}
TTLS = frozenset({"5m", "1h"})
TOO_LONG = ("input is too long", "prompt is too long", "too many input tokens")


@dataclass(slots=True)
class _Content:
    """What the blocks of a message amount to."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    thinking_blocks: list[Document] = field(default_factory=list)
    calls: list[Document] = field(default_factory=list)

    def add(self, block: Mapping[str, Any]) -> None:
        if isinstance(block.get("text"), str):
            self.texts.append(block["text"])
        elif isinstance(block.get("toolUse"), dict):
            use = block["toolUse"]
            arguments = orjson.dumps(use.get("input") or {}).decode()
            self.calls.append(tool_call(use, arguments))
        elif isinstance(block.get("reasoningContent"), dict):
            self._add_thought(block["reasoningContent"])
        elif isinstance(block.get("citationsContent"), dict):
            self.texts += cited_texts(block["citationsContent"])

    def _add_thought(self, content: Mapping[str, Any]) -> None:
        text = content.get("reasoningText")
        if isinstance(text, dict):
            self.thoughts.append(str(text.get("text") or ""))
            self.thinking_blocks.append(thinking_block(text))
        elif content.get("redactedContent"):
            block = {"type": "redacted_thinking", "data": content["redactedContent"]}
            self.thinking_blocks.append(block)


def cited_texts(cited: Mapping[str, Any]) -> list[str]:
    parts = cited.get("content")
    parts = parts if isinstance(parts, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text")]


def thinking_block(text: Mapping[str, Any]) -> Document:
    block: Document = {"type": "thinking", "thinking": text.get("text") or ""}
    if text.get("signature"):
        block["signature"] = text["signature"]
    return block


def tool_call(use: Mapping[str, Any], arguments: str) -> Document:
    function = {"name": str(use.get("name") or ""), "arguments": arguments}
    return {"id": str(use.get("toolUseId") or ""), "type": "function", "function": function}


def finish_reason_of(stop_reason: object) -> str:
    """Return OpenAI's word; reasons nobody knows yet are a plain stop."""
    return FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def to_completion(document: Mapping[str, Any], head: Mapping[str, Any]) -> Document:
    """Return the chat completion; `head` is what Converse does not say (id, created, model).

    ValueError when the document is no answer of Converse's.
    """
    output = document.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    blocks = message.get("content") if isinstance(message, dict) else None
    if not isinstance(blocks, list):
        raise ValueError("the document is not an answer of Bedrock's Converse")
    content = _Content()
    for block in blocks:
        if isinstance(block, dict):
            content.add(block)
    choice = {
        "index": 0,
        "message": _message_of(content),
        "logprobs": None,
        "finish_reason": finish_reason_of(document.get("stopReason")),
    }
    completion: Document = {**head, "object": "chat.completion", "choices": [choice]}
    usage = chat_usage(document.get("usage"))
    if usage is not None:
        completion["usage"] = usage
    return completion | served_tier(document)


def served_tier(document: Mapping[str, Any]) -> Document:
    tier = document.get("serviceTier")
    kind = tier.get("type") if isinstance(tier, dict) else None
    return {"service_tier": kind} if isinstance(kind, str) else {}


def _message_of(content: _Content) -> Document:
    text = "".join(content.texts)
    message: Document = {
        "role": "assistant",
        "content": text or (None if content.calls else ""),
        "refusal": None,
    }
    if content.thoughts:
        message["reasoning_content"] = "".join(content.thoughts)
    if content.thinking_blocks:
        message["thinking_blocks"] = content.thinking_blocks
    if content.calls:
        message["tool_calls"] = content.calls
    return message


def chat_usage(usage: Any) -> Document | None:
    """Return OpenAI's usage of Converse's; None when it is none, unknown being never zero.

    Converse counts cached input beside `inputTokens`. Should a total say that a model counts it
    within, the total is believed: no token may be charged twice.
    """
    if not isinstance(usage, dict) or not _is_count(usage.get("inputTokens")):
        return None
    read, written = _count(usage, "cacheReadInputTokens"), _count(usage, "cacheWriteInputTokens")
    prompt, output = usage["inputTokens"], _count(usage, "outputTokens")
    if usage.get("totalTokens") != prompt + output or prompt < read + written:
        prompt += read + written
    document: Document = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
    }
    if read or written:
        details: Document = {"cached_tokens": read, "cache_write_tokens": written}
        by_ttl = _writes_by_ttl(usage.get("cacheDetails"))
        if by_ttl:
            details["cache_creation_token_details"] = by_ttl
        document["prompt_tokens_details"] = details
    return document


def _writes_by_ttl(details: Any) -> Document:
    writes: Document = {}
    for entry in details if isinstance(details, list) else ():
        ttl = entry.get("ttl") if isinstance(entry, dict) else None
        if isinstance(ttl, str) and ttl in TTLS:
            name = f"ephemeral_{ttl}_input_tokens"
            writes[name] = writes.get(name, 0) + _count(entry, "inputTokens")
    return writes


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return int(value) if _is_count(value) and value is not None else 0


def to_chat_error(document: Mapping[str, Any]) -> Document | None:
    """Return OpenAI's error of Bedrock's {"message": ...}; None when it is none of theirs."""
    message = document.get("message", document.get("Message"))
    if not isinstance(message, str):
        return None
    kind = document.get("__type")
    name = kind.rpartition("#")[2].partition(":")[0] if isinstance(kind, str) else ""
    return error_of(name, message)


def error_of(name: str, message: str) -> Document:
    """Return OpenAI's error for an exception of Bedrock's, by its name ("" when unknown)."""
    name = name[:1].upper() + name[1:]
    is_too_long = message.lower().startswith(TOO_LONG)
    code = "context_length_exceeded" if is_too_long else name or None
    fields = {"message": message, "type": ERROR_TYPES.get(name, "api_error"), "param": None}
    return {"error": {**fields, "code": code}}
