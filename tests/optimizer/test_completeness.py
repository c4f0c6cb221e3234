"""Which answers are whole enough to be kept, in every dialect."""

from typing import Any

import pytest

from optimizer.completeness import is_cacheable_answer, is_cacheable_completion


def answer(*finish_reasons: object) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason} for reason in finish_reasons]}


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        (answer("stop"), ""),
        (answer("stop", "tool_calls", "function_call"), ""),
        ({"object": "list", "data": [{"embedding": [0.1]}]}, ""),
        ({"error": None, **answer("stop")}, ""),
        ({"error": {"message": "no"}}, "error"),
        ({"error": {"message": "no"}, **answer("stop")}, "error"),
        ({"data": []}, "empty"),
        ({"data": {}}, "empty"),
        ({"data": [1], **answer(None)}, "unfinished"),
        (answer(), "empty"),
        ({}, "empty"),
        ({"choices": "x"}, "empty"),
        (answer("stop", "length"), "length"),
        (answer("content_filter"), "content_filter"),
        (answer(None), "unfinished"),
        (answer("surprise"), "unfinished"),
        (answer([]), "unfinished"),
        ({"choices": ["x"]}, "unfinished"),
        ({"choices": [{}]}, "unfinished"),
    ],
)
def test_only_whole_answers_are_kept(doc: dict[str, Any], reason: str) -> None:
    assert is_cacheable_completion(doc) == reason


RESPONSE: dict[str, Any] = {
    "object": "response",
    "status": "completed",
    "store": False,
    "error": None,
    "incomplete_details": None,
    "output": [{"type": "reasoning"}, {"type": "message", "status": "completed"}],
}
MESSAGE = {"type": "message", "stop_reason": "end_turn", "content": [{"type": "text"}]}
GEMINI = {"candidates": [{"finishReason": "STOP"}]}


@pytest.mark.parametrize(
    ("endpoint", "document", "expected"),
    [
        ("chat", answer("stop"), True),
        ("completions", answer("stop"), True),
        ("completions", answer("length"), False),
        ("responses", RESPONSE, True),
        ("responses", RESPONSE | {"status": "incomplete"}, False),
        ("responses", RESPONSE | {"incomplete_details": {"reason": "content_filter"}}, False),
        ("responses", RESPONSE | {"error": {"code": "server_error"}}, False),
        ("responses", RESPONSE | {"store": True}, False),
        ("responses", RESPONSE | {"background": True}, False),
        ("responses", RESPONSE | {"output": []}, False),
        ("responses", RESPONSE | {"output": [{"type": "web_search_call"}]}, False),
        ("responses", RESPONSE | {"output": [{"type": "message", "status": "in_progress"}]}, False),
        ("responses", RESPONSE | {"output": ["nonsense"]}, False),
        ("responses", {}, False),
        ("messages", MESSAGE, True),
        ("messages", MESSAGE | {"stop_reason": "max_tokens"}, False),
        ("messages", MESSAGE | {"stop_reason": None}, False),
        ("messages", MESSAGE | {"stop_reason": []}, False),
        ("messages", MESSAGE | {"container": {"id": "c"}}, False),
        ("messages", MESSAGE | {"content": []}, False),
        ("messages", {"type": "error", "error": {}}, False),
        ("gemini", GEMINI, True),
        ("gemini", GEMINI | {"promptFeedback": {"blockReason": "SAFETY"}}, False),
        ("gemini", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, False),
        ("gemini", {"candidates": ["nonsense"]}, False),
        ("gemini", {"candidates": []}, False),
    ],
)
def test_each_dialect_keeps_only_what_ended_of_itself(
    endpoint: str, document: dict[str, Any], expected: bool
) -> None:
    assert is_cacheable_answer(endpoint, document) is expected
