"""Converse's answers in chat's words: AWS's published answers, usage, errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from ledger.token_buckets import buckets_from_openai_usage
from proxy.providers.bedrock_answer import chat_usage, error_of, to_chat_error, to_completion

HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}
# Origin: the answers of the Converse API examples in AWS's Bedrock user guide.
SONGS: dict[str, Any] = {
    "output": {
        "message": {
            "content": [{"text": "Here is a list of 3 pop songs by artists from the UK."}],
            "role": "assistant",
        }
    },
    "stopReason": "end_turn",
    "usage": {"inputTokens": 125, "outputTokens": 60, "totalTokens": 185},
    "metrics": {"latencyMs": 1175},
}
TOOL: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {
                    "toolUse": {
                        "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                        "name": "top_song",
                        "input": {"sign": "WZPZ"},
                    }
                }
            ],
        }
    },
    "stopReason": "tool_use",
}


def completion(document: dict[str, Any]) -> ChatCompletion:
    translated = to_completion(document, HEAD)
    return ChatCompletion.model_validate(translated, strict=True)


def test_aws_own_answer() -> None:
    answer = completion(SONGS)
    assert answer.choices[0].message.content == (
        "Here is a list of 3 pop songs by artists from the UK."
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 125, "completion_tokens": 60, "total_tokens": 185,
    }  # fmt: skip
    assert (answer.id, answer.model, answer.created) == ("chatcmpl-1", "m", 1)


def test_aws_own_call_of_a_tool() -> None:
    answer = completion(TOOL)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].model_dump() == {
        "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
        "type": "function",
        "function": {"name": "top_song", "arguments": '{"sign":"WZPZ"}'},
    }
    assert answer.usage is None  # unknown, not zero


def test_thoughts_citations_and_tier() -> None:
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "A"},
        {"citationsContent": {"content": [{"text": "B"}], "citations": []}},
        {"futureBlock": {}},
    ]
    document = {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": "max_tokens",
        "serviceTier": {"type": "flex"},
    }
    answer = to_completion(document, HEAD)
    message = answer["choices"][0]["message"]
    assert message["content"] == "AB"
    assert message["reasoning_content"] == "hm"
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "cmVk"},
    ]
    assert answer["service_tier"] == "flex"
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("stop_sequence", "stop"), ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"), ("model_context_window_exceeded", "length"),
        ("something_new", "stop"), (None, "stop"), ([], "stop"),
    ],
)  # fmt: skip
def test_stop_reasons(reason: Any, wanted: str) -> None:
    assert completion({**SONGS, "stopReason": reason}).choices[0].finish_reason == wanted


@pytest.mark.parametrize("document", [{}, {"output": []}, {"output": {"message": {}}}])
def test_what_is_no_answer_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        to_completion(document, HEAD)


def test_cached_input_is_counted_once_and_by_its_time_to_live() -> None:
    usage = chat_usage({
        "inputTokens": 10, "outputTokens": 5, "totalTokens": 315,
        "cacheReadInputTokens": 100, "cacheWriteInputTokens": 200,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 50}],
    })  # fmt: skip
    assert usage is not None
    buckets, open_keys = buckets_from_openai_usage(usage)
    assert open_keys == []
    assert buckets.input_tokens == 10
    assert buckets.cache_read_tokens == 100
    assert buckets.cache_write_1h_tokens == 150
    assert buckets.cache_write_5m_tokens == 50
    assert usage["total_tokens"] == 315


def test_a_total_that_holds_the_cached_input_is_believed() -> None:
    usage = chat_usage({
        "inputTokens": 110, "outputTokens": 5, "totalTokens": 115, "cacheReadInputTokens": 100,
    })  # fmt: skip
    assert usage is not None
    assert usage["prompt_tokens"] == 110


COUNT = st.integers(0, 10**6)


@given(COUNT, COUNT, COUNT, COUNT)
def test_no_token_is_lost_or_counted_twice(new: int, out: int, read: int, written: int) -> None:
    total = new + out + read + written
    usage = chat_usage({
        "inputTokens": new, "outputTokens": out, "totalTokens": total,
        "cacheReadInputTokens": read, "cacheWriteInputTokens": written,
    })  # fmt: skip
    assert usage is not None
    buckets, open_keys = buckets_from_openai_usage(usage)
    assert not open_keys
    assert buckets.total_input + buckets.total_output == total
    assert buckets.cache_read_tokens == read


@pytest.mark.parametrize("usage", [None, [], {}, {"inputTokens": None}, {"inputTokens": -1}])
def test_no_usage_is_no_usage(usage: Any) -> None:
    assert chat_usage(usage) is None


def test_errors() -> None:
    assert to_chat_error({"message": "No such model."}) == {
        "error": {"message": "No such model.", "type": "api_error", "param": None, "code": None}
    }
    typed = {"__type": "com.amazon.coral.service#ThrottlingException", "message": "Slow down."}
    error = to_chat_error(typed)
    assert error is not None
    assert error["error"]["type"] == "rate_limit_error"
    assert error["error"]["code"] == "ThrottlingException"
    long = error_of("validationException", "Input is too long for requested model.")
    assert long["error"]["code"] == "context_length_exceeded"
    assert long["error"]["type"] == "invalid_request_error"
    assert to_chat_error({"output": {}}) is None
