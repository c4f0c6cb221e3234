"""A chat completion as a Response: items, endings, usage, and what the caller asked repeated."""

from typing import Any

import pytest
from openai.types.responses import Response

from ledger.token_buckets import buckets_from_openai_usage
from proxy.providers.responses_answer import response_of, usage_of

ASKED: dict[str, Any] = {"model": "m", "input": "x", "metadata": {"a": "b"}, "user": "u"}
USAGE: dict[str, Any] = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


def completion(
    message: dict[str, Any], finish_reason: str | None = "stop", **fields: Any
) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-1", "created": 7, "model": "m-1", "service_tier": "flex"}
    return {**head, "choices": [choice | fields], "usage": USAGE}


def test_everything_said_is_an_item_of_its_kind() -> None:
    citation = {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 2}
    message = {
        "reasoning_content": "hmm",
        "content": "Hi",
        "annotations": [{"type": "url_citation", "url_citation": citation}, 7, {"type": "x"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            {"type": "function", "function": {"name": "h", "arguments": ""}},
        ],
    }
    answer: Any = Response.model_validate(response_of(completion(message, "tool_calls"), ASKED))
    kinds = [item.type for item in answer.output]
    assert kinds == ["reasoning", "message", "function_call", "custom_tool_call", "function_call"]
    calls = [item for item in answer.output if hasattr(item, "call_id")]
    assert [call.call_id for call in calls[:2]] == ["c1", "c2"]
    assert calls[2].call_id.startswith("call_")
    text = answer.output[1]
    assert text.content[0].annotations[0].url == "https://example.com"
    assert (answer.model, answer.service_tier, answer.metadata) == ("m-1", "flex", {"a": "b"})
    assert answer.user == "u"
    assert answer.store is False
    assert len({item.id for item in answer.output}) == 5


@pytest.mark.parametrize(
    ("finish_reason", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        (None, "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_endings(finish_reason: str | None, status: str, reason: str | None) -> None:
    answer = response_of(completion({"content": "Hi"}, finish_reason), ASKED)
    assert answer["status"] == answer["output"][0]["status"] == status
    assert (answer["incomplete_details"] or {}).get("reason") == reason


def test_usage_keeps_every_token_in_its_bucket() -> None:
    extra = USAGE | {"prompt_cache_hit_tokens": 64, "new_kind_of_tokens": 3}
    assert (
        buckets_from_openai_usage(usage_of(extra) or {})[0] == buckets_from_openai_usage(extra)[0]
    )
    assert (usage_of(extra) or {})["new_kind_of_tokens"] == 3
    assert usage_of(None) is usage_of({}) is None
    plain = usage_of({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    assert plain == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


def test_the_same_answer_has_the_same_ids_and_another_has_others() -> None:
    one = response_of(completion({"content": "Hi"}), ASKED)
    assert one == response_of(completion({"content": "Hi"}), ASKED)
    other = response_of(completion({"content": "Hi"}) | {"id": "chatcmpl-2"}, ASKED)
    assert one["id"] != other["id"]
    assert one["output"][0]["id"] != other["output"][0]["id"]


@pytest.mark.parametrize(
    "document", [{}, {"choices": []}, {"choices": "x"}, {"choices": [7]}, {"choices": [{}]}]
)
def test_what_is_no_answer_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="choice"):
        response_of(document, ASKED)


@pytest.mark.parametrize(
    "message",
    [{}, {"content": 7, "tool_calls": "x"}, {"content": None, "tool_calls": [7]}, {"content": []}],
)
def test_an_empty_answer_is_an_empty_message(message: dict[str, Any]) -> None:
    output = response_of(completion(message), ASKED)["output"]
    assert [(item["type"], item["content"]) for item in output] == [("message", [])]
