"""Turns Gemini's whole answer into a chat completion; called by gemini_translators.py.

`created` is 0 unless the answer tells its time: a translation has no clock, so whoever sends the
answer may fill it in.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from proxy.providers.gemini_candidates import (
    block_reason,
    carried,
    finish_reason,
    index_of,
    read_logprobs,
    read_parts,
    refusal_text,
)
from proxy.providers.gemini_usage import chat_usage, service_tier
from proxy.providers.translation import Document


def gemini_to_chat(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """Return the `chat.completion` of a GenerateContentResponse.

    Raises ValueError when the document is none: neither a candidate nor a blocked prompt.
    """
    try:
        return _completion(document, asked)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"Gemini's answer cannot be written as a chat's: {error}") from error


def _completion(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    head = envelope(document, asked, "chat.completion")
    candidates = document.get("candidates")
    blocked = block_reason(document)
    if isinstance(candidates, list) and candidates:
        head["choices"] = [
            _choice(candidate, place, head["id"]) for place, candidate in enumerate(candidates)
        ]
    elif blocked is not None:
        head["choices"] = [_blocked_choice(blocked)]
    else:
        raise ValueError("Gemini's answer has no candidates and no promptFeedback")
    usage = chat_usage(document.get("usageMetadata"))
    if usage is not None:
        head["usage"] = usage
    return head


def envelope(document: Mapping[str, Any], asked: Mapping[str, Any], kind: str) -> Document:
    """Return what every chunk of one answer shares, without choices and usage."""
    answer_id = document.get("responseId")
    if not isinstance(answer_id, str) or not answer_id:
        seed = orjson.dumps(document)
        answer_id = f"chatcmpl-{hashlib.blake2b(seed, digest_size=12).hexdigest()}"
    version = document.get("modelVersion")
    head: Document = {
        "id": answer_id,
        "object": kind,
        "created": _created(document.get("createTime")),
        "model": version if isinstance(version, str) and version else str(asked.get("model")),
    }
    tier = service_tier(document.get("usageMetadata"))
    return {**head, "service_tier": tier} if tier else head


def _created(time: Any) -> int:
    try:
        return int(datetime.fromisoformat(time).timestamp())
    except (TypeError, ValueError, OverflowError):
        return 0


def _choice(candidate: Any, place: int, answer_id: str) -> Document:
    if not isinstance(candidate, Mapping):
        raise ValueError("a candidate of Gemini's answer is not an object")
    index = index_of(candidate, place)
    fields = read_parts(candidate, f"{answer_id}/{index}")
    message: Document = {"role": "assistant", "content": None, "refusal": None, **fields}
    if message["content"] is None and "tool_calls" not in fields:
        message["content"] = ""
    return {
        "index": index,
        "message": message,
        "logprobs": read_logprobs(candidate),
        "finish_reason": finish_reason(candidate, has_calls="tool_calls" in fields) or "stop",
        **carried(candidate),
    }


def _blocked_choice(feedback: Mapping[str, Any]) -> Document:
    refusal = refusal_text(feedback)
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": refusal},
        "logprobs": None,
        "finish_reason": "content_filter",
        "extra_content": {"google": {"promptFeedback": feedback}},
    }
