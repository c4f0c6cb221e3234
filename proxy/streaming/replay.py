"""Stored answers in the form the caller asked for: a stream, or one document (pure).

Called by hit_reply.py. An answer stored in the form asked for goes out byte for byte; its twin is
built here: one id, one created, the role first, finish_reason once, usage only when asked for.
"""

from typing import Any

import orjson

from proxy.answers import StoredAnswer
from proxy.streaming.assemble import assemble_completion, strip_tool_indexes
from proxy.streaming.framing import data_of, split_events

DONE_EVENT = b"data: [DONE]\n\n"
PIECE_CHARACTERS = 256


def as_document(answer: StoredAnswer) -> bytes:
    """Return the answer as one JSON document."""
    if answer.form == "json":
        return answer.body
    return orjson.dumps(strip_tool_indexes(assemble_completion(answer.body)))


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
    return bool(doc.get("usage")) and doc.get("choices") == []


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)


def _chunks_of(completion: dict[str, Any], *, with_usage: bool) -> list[dict[str, Any]]:
    head = {k: v for k, v in completion.items() if k not in {"choices", "usage", "object"}}
    head["object"] = "chat.completion.chunk"
    if with_usage:
        head["usage"] = None
    chunks: list[dict[str, Any]] = []
    for choice in completion.get("choices", ()):
        chunks += [{**head, "choices": [piece]} for piece in _pieces_of(choice)]
    if with_usage:
        chunks.append({**head, "choices": [], "usage": completion.get("usage")})
    return chunks


def _pieces_of(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut one choice into deltas: role, fields, text in pieces, tool calls, then the ending."""
    index = choice.get("index", 0)
    message = dict(choice.get("message") or {})
    content = message.pop("content", None)
    calls = message.pop("tool_calls", None) or ()
    first = {"role": message.pop("role", "assistant"), "content": None if content is None else ""}
    deltas: list[dict[str, Any]] = [first]
    deltas += [{name: value} for name, value in message.items() if value is not None]
    deltas += [{"content": piece} for piece in _cut(content)]
    for place, call in enumerate(calls):
        deltas.append({"tool_calls": [{"index": place, **call}]})
    pieces = [{"index": index, "delta": delta, "finish_reason": None} for delta in deltas]
    if choice.get("logprobs"):
        pieces[-1]["logprobs"] = choice["logprobs"]
    rest = {k: v for k, v in choice.items() if k not in {"message", "index", "logprobs"}}
    pieces.append({"index": index, "delta": {}, **rest})
    return pieces


def _cut(content: object) -> list[str]:
    if not isinstance(content, str):
        return []
    return [content[i : i + PIECE_CHARACTERS] for i in range(0, len(content), PIECE_CHARACTERS)]
