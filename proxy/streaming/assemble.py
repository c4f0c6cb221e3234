"""Builds the one completion document out of the chunks of a stream (pure).

Called by cache.py when a stored stream answers a caller who wants one document, and to judge
whether a stream may be stored. Everything in the chunks survives: unknown fields too.
"""

from typing import Any

import orjson

from proxy.streaming.framing import data_of, split_events

CHUNK_OBJECT = "chat.completion.chunk"
REPLACED = frozenset({"role", "id", "type", "index", "finish_reason", "name"})


def assemble_completion(stream: bytes) -> dict[str, Any]:
    """Return the `chat.completion` a stored stream stands for; ValueError when it has no chunk."""
    completion: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in split_events(stream):
        data = data_of(event)
        if not data or data.startswith(b"[DONE]"):
            continue
        chunk = orjson.loads(data)
        for choice in chunk.pop("choices", None) or ():
            _add_choice(choices, choice)
        completion.update({name: value for name, value in chunk.items() if value is not None})
    if not completion:
        raise ValueError("the stream holds no chunk")
    completion["object"] = "chat.completion"
    completion["choices"] = [choices[index] for index in sorted(choices)]
    return completion


def _add_choice(choices: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
    index = piece.get("index", 0)
    choice = choices.setdefault(
        index, {"index": index, "message": {"role": "assistant", "content": None}}
    )
    for name, value in piece.items():
        if name == "delta":
            _merge(choice["message"], value or {})
        elif name == "logprobs" and isinstance(value, dict):
            choice["logprobs"] = choice.get("logprobs") or {}
            _merge(choice["logprobs"], value)
        elif value is not None or name not in choice:
            choice[name] = value


def _merge(into: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a delta: text grows, objects merge, lists merge by index, the rest is replaced."""
    for name, value in piece.items():
        old = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, list):
            into[name] = _merge_list(old if isinstance(old, list) else [], value)
        elif isinstance(value, dict):
            into[name] = old if isinstance(old, dict) else {}
            _merge(into[name], value)
        elif isinstance(value, str) and isinstance(old, str) and name not in REPLACED:
            into[name] = old + value
        else:
            into[name] = value


def _merge_list(old: list[Any], pieces: list[Any]) -> list[Any]:
    """Merge list items that carry an index (tool calls); append the others (log probabilities)."""
    merged = list(old)
    for piece in pieces:
        if not isinstance(piece, dict) or "index" not in piece:
            merged.append(piece)
            continue
        twin = next((item for item in merged if item.get("index") == piece["index"]), None)
        if twin is None:
            twin = {}
            merged.append(twin)
        _merge(twin, piece)
    return merged


def strip_tool_indexes(completion: dict[str, Any]) -> dict[str, Any]:
    """Remove the stream-only index from tool calls: documents do not carry it."""
    for choice in completion["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            call.pop("index", None)
    return completion
