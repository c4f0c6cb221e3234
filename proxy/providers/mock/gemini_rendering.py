"""Writes an answer as Google's JSON, whole or in pieces: pure. Called by gemini_chat.py."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import orjson

from proxy.providers.mock.completions import Answer, Choice
from proxy.providers.mock.gemini_requests import GeminiRequest
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.text import digest_of, make_words, split_tokens

_REASONS = {
    "stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a stream: its candidates, and the visible tokens they hold."""

    candidates: list[dict[str, Any]]
    tokens: int
    is_last: bool = False  # of its candidate


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """Return the counts as Google writes them: zeros are left out."""
    prompt, output = usage.prompt_tokens, usage.output_tokens
    details = {"TEXT": prompt - usage.audio_tokens, "AUDIO": usage.audio_tokens}
    counts = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": prompt + output + usage.reasoning_tokens,
    }
    metadata: dict[str, Any] = {name: count for name, count in counts.items() if count}
    metadata["promptTokensDetails"] = _details(details)
    if usage.cached_tokens:
        metadata["cacheTokensDetails"] = _details({"TEXT": usage.cached_tokens})
    return metadata


def _details(tokens: dict[str, int]) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in tokens.items() if count]


def response_document(
    request: GeminiRequest, candidates: list[dict[str, Any]], usage: Usage | None
) -> dict[str, Any]:
    """Return a GenerateContentResponse; without candidates it is that of a blocked prompt."""
    identity = digest_of(orjson.dumps(request.chat.document, option=orjson.OPT_SORT_KEYS))
    document: dict[str, Any] = {"candidates": candidates} if candidates else {}
    if not candidates:
        document["promptFeedback"] = {"blockReason": "SAFETY"}
    if usage is not None:
        document["usageMetadata"] = usage_metadata(usage)
    return document | {"modelVersion": request.chat.model, "responseId": identity.hex()}


def whole_candidates(request: GeminiRequest, answer: Answer) -> list[dict[str, Any]]:
    """Return the candidates of a whole answer, none when the prompt is refused."""
    found = []
    for choice in answer.choices:
        if choice.refusal is None:
            parts = _thoughts(request) + ([{"text": choice.content}] if choice.content else [])
            parts += _calls(choice)
            found.append(_candidate(choice, parts, _REASONS[choice.finish_reason]))
    return found


def pieces(request: GeminiRequest, answer: Answer) -> Iterator[Piece]:
    """Yield the pieces of a streamed answer; with several candidates they take turns."""
    choices = [choice for choice in answer.choices if choice.refusal is None]
    if not choices:
        yield Piece([], 0, is_last=True)
    for turn in zip_longest(*(_pieces_of(request, choice) for choice in choices)):
        yield from (piece for piece in turn if piece is not None)


def _pieces_of(request: GeminiRequest, choice: Choice) -> Iterator[Piece]:
    for part in _thoughts(request):
        yield Piece([_candidate(choice, [part])], 0)
    for token in split_tokens(choice.content or ""):
        yield Piece([_candidate(choice, [{"text": token}])], 1)
    calls = _calls(choice)
    if choice.calls:
        tokens = sum(call.count_tokens() for call in choice.calls)
        yield Piece([_candidate(choice, calls or [{"text": ""}])], tokens)
    end = _candidate(choice, [{"text": ""}], _REASONS[choice.finish_reason])
    yield Piece([end], 0, is_last=True)


def _candidate(
    choice: Choice, parts: list[dict[str, Any]], reason: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    return {**candidate, "index": choice.index}


def _thoughts(request: GeminiRequest) -> list[dict[str, Any]]:
    if not request.shows_thoughts or not request.thinking_tokens:
        return []
    return [{"text": make_words(request.chat.seed + b"thoughts", 12), "thought": True}]


def _calls(choice: Choice) -> list[dict[str, Any]]:
    """Return the calls; one whose arguments were cut short is none, as with Google."""
    parts: list[dict[str, Any]] = []
    for call in choice.calls:
        try:
            arguments = orjson.loads(call.arguments)
        except orjson.JSONDecodeError:
            continue
        part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name}}
        part["functionCall"]["args"] = arguments
        if not parts:
            part["thoughtSignature"] = base64.b64encode(call.id.encode()).decode()
        parts.append(part)
    return parts
