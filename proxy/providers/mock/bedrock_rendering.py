"""Writes the mock's answers, events and errors in Converse's shapes: pure. Called by bedrock.py."""

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.providers.mock.completions import Choice
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.text import count_tokens, split_tokens

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_NAMES_BY_STATUS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_METRICS = {"latencyMs": 1}
# One event of a stream: its type, its payload, and the visible tokens it carries.
Event = tuple[str, dict[str, Any], int]


def error_body(error: MockError) -> tuple[str, bytes]:
    """Return the exception's name, which goes into a header, and the body."""
    fallback = "InternalServerException" if error.status >= 500 else "ValidationException"
    name = _NAMES_BY_STATUS.get(error.status, fallback)
    return name, orjson.dumps({"message": error.fields["message"]})


def usage_document(usage: Usage) -> dict[str, int]:
    """Cached tokens stand beside inputTokens, as Bedrock counts; thoughts are output."""
    document = {
        "inputTokens": usage.prompt_tokens - usage.cached_tokens,
        "outputTokens": usage.output_tokens + usage.reasoning_tokens,
        "totalTokens": usage.prompt_tokens + usage.output_tokens + usage.reasoning_tokens,
    }
    if usage.cached_tokens:
        document["cacheReadInputTokens"] = usage.cached_tokens
    return document


def converse_document(choice: Choice, usage: Usage | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    text = choice.content or choice.refusal
    if text:
        content.append({"text": text})
    for call in choice.calls:
        use = {"toolUseId": call.id, "name": call.name, "input": _input(call.arguments)}
        content.append({"toolUse": use})
    document: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _STOP_REASONS[choice.finish_reason],
        "metrics": _METRICS,
    }
    if usage is not None:
        document["usage"] = usage_document(usage)
    return document


def _input(arguments: str) -> Any:
    """Arguments cut short by a limit are no JSON: Bedrock then gives an empty object."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}


def converse_events(choice: Choice) -> Iterator[Event]:
    """Yield all events but `metadata`, which tells the usage."""
    yield "messageStart", {"role": "assistant"}, 0
    block = 0
    text = choice.content or choice.refusal or ""
    for token in split_tokens(text):
        yield "contentBlockDelta", {"contentBlockIndex": block, "delta": {"text": token}}, 1
    if text:
        yield "contentBlockStop", {"contentBlockIndex": block}, 0
        block += 1
    for call in choice.calls:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        opening = {"contentBlockIndex": block, "start": start}
        yield "contentBlockStart", opening, count_tokens(call.name)
        for token in split_tokens(call.arguments):
            delta = {"toolUse": {"input": token}}
            yield "contentBlockDelta", {"contentBlockIndex": block, "delta": delta}, 1
        yield "contentBlockStop", {"contentBlockIndex": block}, 0
        block += 1
    yield "messageStop", {"stopReason": _STOP_REASONS[choice.finish_reason]}, 0


def metadata_event(usage: Usage | None) -> dict[str, Any]:
    event: dict[str, Any] = {"metrics": _METRICS}
    if usage is not None:
        event["usage"] = usage_document(usage)
    return event
