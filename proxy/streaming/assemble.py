"""Builds the one completion document out of the chunks of a stream (pure).

Called by replay.py when a stored stream answers a caller who wants one document. Everything in
the chunks survives, unknown fields too; what is not a chunk at all is passed over.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.streaming.framing import data_of, split_events

# Named once and whole; some servers repeat them, or send them empty, in every later piece.
REPLACED = frozenset({"role", "id", "type", "index", "finish_reason", "name"})
# Padding against the measuring of packet sizes: it belongs to one chunk, not to the answer.
STREAM_ONLY = frozenset({"choices", "object", "obfuscation"})
CHOICE_FRAME = frozenset({"index", "message"})


def assemble_completion(stream: bytes) -> dict[str, Any]:
    """Return the `chat.completion` a stored stream stands for; ValueError when it has no chunk."""
    completion: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in _chunks_of(stream):
        for choice in objects_in(chunk.get("choices")):
            _add_choice(choices, choice)
        for name, value in chunk.items():
            if name not in STREAM_ONLY and (value or name not in completion):
                completion[name] = value
    if not completion and not choices:
        raise ValueError("the stream holds no chunk")
    completion["object"] = "chat.completion"
    completion["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    return completion


def _chunks_of(stream: bytes) -> Iterator[dict[str, Any]]:
    for event in split_events(stream):
        data = data_of(event)
        if not data or data.startswith(b"[DONE]"):
            continue
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if isinstance(chunk, dict):
            yield chunk


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects of what should be a list of objects."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def index_of(piece: dict[str, Any], default: int = 0) -> int:
    """Return the place a piece names, or `default` when it names none."""
    index = piece.get("index")
    return index if isinstance(index, int) else default


def _add_choice(choices: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
    index = index_of(piece)
    choice = choices.setdefault(
        index, {"index": index, "message": {"role": "assistant", "content": None}}
    )
    for name, value in piece.items():
        if name == "delta":
            _merge(choice["message"], value if isinstance(value, dict) else {})
        elif name == "logprobs":
            _merge_field(choice, name, value)
        elif name not in CHOICE_FRAME and (value or name not in choice):
            choice[name] = value


def _merge(into: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a delta: text grows, objects merge, lists merge by index, the rest is replaced."""
    for name, value in piece.items():
        _merge_field(into, name, value)


def _merge_field(into: dict[str, Any], name: str, value: Any) -> None:
    old = into.get(name)
    if value is None:
        into.setdefault(name, None)
    elif isinstance(value, list):
        into[name] = _merge_list(old if isinstance(old, list) else [], value)
    elif isinstance(value, dict):
        into[name] = old if isinstance(old, dict) else {}
        _merge(into[name], value)
    elif isinstance(value, str) and isinstance(old, str):
        into[name] = (value or old) if name in REPLACED else old + value
    else:
        into[name] = value


def _merge_list(merged: list[Any], pieces: list[Any]) -> list[Any]:
    """Merge list items that carry an index (tool calls); append the others (log probabilities)."""
    for piece in pieces:
        if not isinstance(piece, dict) or "index" not in piece:
            merged.append(piece)
            continue
        twin = next(
            (item for item in objects_in(merged) if item.get("index") == piece["index"]), None
        )
        if twin is None:
            twin = {}
            merged.append(twin)
        _merge(twin, piece)
    return merged


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    """Put tool calls in order and take off their index: documents do not carry it."""
    calls = choice["message"].get("tool_calls")
    if isinstance(calls, list):
        if all(isinstance(call, dict) for call in calls):
            calls.sort(key=index_of)
        for call in objects_in(calls):
            call.pop("index", None)
    return choice
