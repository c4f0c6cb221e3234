"""Stored answers in the form the caller asked for: a stream, or one document (pure).

Called by document_reply.py and stream_reply.py. An answer stored in the form asked for goes out
byte for byte; its twin is built here: one id, one created, the role first, finish_reason once,
usage only when asked for.
"""

from typing import Any

import orjson

from proxy.answers import StoredAnswer
from proxy.streaming.assemble import assemble_completion, index_of, objects_in
from proxy.streaming.framing import data_of, split_events

DONE_EVENT = b"data: [DONE]\n\n"
PIECE_CHARACTERS = 256
# What OpenAI repeats in every chunk. Other fields go out once: they may be large.
REPEATED = frozenset({"id", "created", "model", "system_fingerprint", "service_tier"})
NOT_IN_CHUNKS = frozenset({"choices", "usage", "object"})
SENT_APART = frozenset({"role", "content", "tool_calls"})


def as_document(answer: StoredAnswer) -> bytes:
    """Return the answer as one JSON document."""
    if answer.form == "json":
        return answer.body
    return orjson.dumps(assemble_completion(answer.body))


def as_stream(answer: StoredAnswer, *, with_usage: bool) -> list[bytes]:
    """Return the answer as the events of a stream, without the end marker."""
    if answer.form == "sse":
        events = [e for e in split_events(answer.body) if not data_of(e).startswith(b"[DONE]")]
        return events if with_usage else [e for e in events if not _is_usage_event(e)]
    return [_event(chunk) for chunk in _chunks_of(orjson.loads(answer.body), with_usage=with_usage)]


def _is_usage_event(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    try:
        doc = orjson.loads(data_of(event))
    except orjson.JSONDecodeError:
        return False
    return isinstance(doc, dict) and isinstance(doc.get("usage"), dict) and not doc.get("choices")


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)


def _chunks_of(completion: dict[str, Any], *, with_usage: bool) -> list[dict[str, Any]]:
    head = {name: value for name, value in completion.items() if name in REPEATED}
    head["object"] = "chat.completion.chunk"
    usage = completion.get("usage")
    is_counted = with_usage and isinstance(usage, dict)
    if is_counted:
        head["usage"] = None
    chunks: list[dict[str, Any]] = []
    for place, choice in enumerate(objects_in(completion.get("choices"))):
        chunks += [{**head, "choices": [piece]} for piece in _pieces_of(choice, place)]
    if chunks:
        once = completion.keys() - REPEATED - NOT_IN_CHUNKS
        chunks[0] |= {name: value for name, value in completion.items() if name in once}
    if is_counted:
        chunks.append({**head, "choices": [], "usage": usage})
    return chunks


def _pieces_of(choice: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """Cut one choice into deltas: role, fields, text in pieces, tool calls, then the ending."""
    index = index_of(choice, place)
    message = choice.get("message")
    pieces = [
        {"index": index, "delta": delta, "finish_reason": None}
        for delta in _deltas_of(message if isinstance(message, dict) else {})
    ]
    rest = {k: v for k, v in choice.items() if k not in {"message", "index", "logprobs"}}
    pieces.append({"index": index, "delta": {}, **rest})
    if "logprobs" in choice:
        for piece in pieces:
            piece["logprobs"] = None
        pieces[-2]["logprobs"] = choice["logprobs"]
    return pieces


def _deltas_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content, calls = message.get("content"), message.get("tool_calls")
    text = content if isinstance(content, str) else None
    others = {name: value for name, value in message.items() if name not in SENT_APART}
    first = {"role": message.get("role", "assistant"), "content": content if text is None else ""}
    first |= {name: None for name, value in others.items() if value is None}
    if "tool_calls" in message and not objects_in(calls):
        first["tool_calls"] = calls
    deltas: list[dict[str, Any]] = [first]
    deltas += [{name: value} for name, value in others.items() if value is not None]
    deltas += [{"content": piece} for piece in _cut(text or "")]
    for number, call in enumerate(objects_in(calls)):
        deltas.append({"tool_calls": [{**call, "index": number}]})
    return deltas


def _cut(content: str) -> list[str]:
    return [content[i : i + PIECE_CHARACTERS] for i in range(0, len(content), PIECE_CHARACTERS)]
