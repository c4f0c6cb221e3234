"""Reads one candidate of a Gemini answer into chat fields; for gemini_answer.py, gemini_stream.py.

Texts are content, thoughts are `reasoning_content`, calls are tool calls, pictures are `images`
(each an `image_url` with a data URL). What chat has no field for rides in `extra_content.google`,
where Google's own OpenAI door keeps it: thought signatures, safety ratings, grounding.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.translation import Document

_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
}
NOT_ENDED = "FINISH_REASON_UNSPECIFIED"
# Said by "finish_reason": "stop" alone as well; every other reason goes along in Google's words.
_PLAIN_REASONS = frozenset({"STOP", "MAX_TOKENS"})
_CARRIED = (
    "finishMessage", "safetyRatings", "citationMetadata", "groundingMetadata",
    "urlContextMetadata",
)  # fmt: skip


def finish_reason(candidate: Mapping[str, Any], *, has_calls: bool) -> str | None:
    """Return the chat finish reason; None when the candidate has not ended."""
    reason = candidate.get("finishReason")
    if not isinstance(reason, str) or reason in {"", NOT_ENDED}:
        return None
    known = _REASONS.get(reason, "stop")
    return "tool_calls" if known == "stop" and has_calls else known


def carried(candidate: Mapping[str, Any]) -> Document:
    """Return `extra_content` for what a candidate says beside its content; {} when nothing."""
    google = {name: candidate[name] for name in _CARRIED if candidate.get(name)}
    reason = candidate.get("finishReason")
    if isinstance(reason, str) and reason and reason not in _PLAIN_REASONS:
        google["finishReason"] = reason
    orjson.dumps([[[[google]]]])  # what nobody could send on is found here, as an error
    return {"extra_content": {"google": google}} if google else {}


def index_of(candidate: Mapping[str, Any], place: int) -> int:
    """Return the index a candidate names, or its place when it names none."""
    index = candidate.get("index")
    return index if isinstance(index, int) else place


def read_parts(candidate: Mapping[str, Any], seed: str, first_call: int = 0) -> Document:
    """Return the message fields of a candidate's parts, only those it has something for.

    `first_call` is how many calls of this candidate came before. Ids that Google does not give
    are made from that and from `seed`, the answer's and the candidate's: a stream and its twin
    agree, two answers do not.
    """
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    fields: Document = {}
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            _read_part(fields, part, seed, first_call)
    return fields


def _read_part(fields: Document, part: Mapping[str, Any], seed: str, first_call: int) -> None:
    if isinstance(part.get("functionCall"), dict):
        calls = fields.setdefault("tool_calls", [])
        calls.append(_tool_call(part, f"{seed}/{first_call + len(calls)}"))
        return
    signature = part.get("thoughtSignature")
    if isinstance(signature, str) and signature:
        fields["extra_content"] = {"google": {"thought_signature": signature}}
    text = part.get("text")
    if isinstance(text, str) and text:
        name = "reasoning_content" if part.get("thought") is True else "content"
        fields[name] = fields.get(name, "") + text
    elif isinstance(part.get("inlineData"), dict):
        _read_picture(fields, part["inlineData"])


def _read_picture(fields: Document, blob: Mapping[str, Any]) -> None:
    kind, data = str(blob.get("mimeType")), blob.get("data")
    if kind.startswith("image/") and isinstance(data, str):
        url = f"data:{kind};base64,{data}"
        fields.setdefault("images", []).append({"type": "image_url", "image_url": {"url": url}})


def _tool_call(part: Mapping[str, Any], seed: str) -> Document:
    call = part["functionCall"]
    name = str(call.get("name") or "")
    arguments = orjson.dumps(call.get("args") or {})
    call_id = call.get("id")
    if not isinstance(call_id, str) or not call_id:
        identity = f"{seed}/{name}/".encode() + arguments
        call_id = f"call_{hashlib.blake2b(identity, digest_size=12).hexdigest()}"
    document: Document = {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments.decode()},
    }
    signature = part.get("thoughtSignature")
    if isinstance(signature, str) and signature:
        document["extra_content"] = {"google": {"thought_signature": signature}}
    return document


def read_logprobs(candidate: Mapping[str, Any]) -> Document | None:
    """Return the chat `logprobs` of a candidate; None when it has none."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    entries = []
    for place, token in enumerate(chosen):
        top = tops[place] if place < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        entry = _logprob(token)
        others = others if isinstance(others, list) else []
        entry["top_logprobs"] = [_logprob(other) for other in others]
        entries.append(entry)
    return {"content": entries, "refusal": None}


def _logprob(token: Any) -> Document:
    token = token if isinstance(token, dict) else {}
    text = str(token.get("token") or "")
    # Google leaves out a zero, which is the logarithm of certainty.
    value = token.get("logProbability") or 0.0
    return {"token": text, "logprob": value, "bytes": list(text.encode())}


def block_reason(document: Mapping[str, Any]) -> Document | None:
    """Return the feedback on a prompt that was refused; None when it was not."""
    feedback = document.get("promptFeedback")
    if not isinstance(feedback, dict):
        return None
    is_block = feedback.get("blockReason") or feedback.get("blockReasonMessage")
    return dict(feedback) if is_block else None


def refusal_text(feedback: Mapping[str, Any]) -> str:
    """Say in a sentence why a prompt was refused."""
    reason = feedback.get("blockReason") or "OTHER"
    message = feedback.get("blockReasonMessage")
    text = f"The provider blocked the prompt: {reason}."
    return f"{text} {message}" if isinstance(message, str) and message else text
