"""Requests to Anthropic that must be refused, with a word on what to do; and hostile ones."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.anthropic_refusals import LEFT_OUT
from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.providers.translation import Document, UntranslatableError

USER = {"role": "user", "content": "x"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "a"}}


def request(*messages: Any, **fields: Any) -> Document:
    doc = {"model": "claude-sonnet-4-5", "messages": list(messages) or [USER], **fields}
    return ChatToAnthropic().request(doc)


def part(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": [fields]}


def call(**function: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{"id": "1", "function": function}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "a"}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"verbosity": "low"}, "verbosity"),
        ({"temperature": 1.5}, "temperature"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": 7}, "service_tier"),
        ({"stop": ["a", "\n"]}, "stop"),
        ({"stop": 7}, "stop"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning_effort": []}, "reasoning_effort"),
        ({"tool_choice": []}, "tool_choice"),
        ({"tools": [{"type": []}]}, "tools[0].type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": 7}, "response_format"),
        ({"tools": [{"type": "custom", "name": "a"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}, "tools": [TOOL]}, "tool_choice"),
        ({"model": None}, "model"),
        (
            {"model": "claude-3-haiku", "response_format": SCHEMA, "tools": [TOOL]},
            "response_format",
        ),
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
        ({"user": 7}, "user"),
    ],
)
def test_fields_that_cannot_be_said_are_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        request(**fields)
    assert caught.value.param == param
    assert param in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "robot", "content": "x"}, "messages[0].role"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": [], "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": [{"type": []}]}, "messages[0].content[0]"),
        ("x", "messages[0]"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[0].role"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages[0].function_call"),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        (part(type="input_audio", input_audio={}), "messages[0].content[0]"),
        (part(type="image_url"), "messages[0].content[0].image_url.url"),
        (part(type="image_url", image_url={"url": "ftp://x"}), "messages[0].content[0].image_url"),
        (
            part(type="image_url", image_url="data:image/png,abc"),
            "messages[0].content[0].image_url",
        ),
        (part(type="file", file={"file_id": "f-1"}), "messages[0].content[0].file.file_id"),
        (
            part(type="file", file={"file_data": "data:video/mp4;base64,AAAA"}),
            "messages[0].content[0].file",
        ),
        (
            part(type="file", file={"file_data": "data:text/plain;base64,_"}),
            "messages[0].content[0].file",
        ),
        (part(type="text"), "messages[0].content[0].text"),
        (
            call(name="a", arguments="{"),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (call(name="a", arguments="[1]"), "messages[0].tool_calls[0].function.arguments"),
        (
            call(name="a", arguments='{"a":' * 251 + "1" + "}" * 251),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (call(arguments="{}"), "messages[0].tool_calls[0].function.name"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages[0].tool_calls[0]"),
    ],
)
def test_messages_that_cannot_be_said_are_refused(message: Any, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        request(message)
    assert caught.value.param == param
    assert caught.value.hint


def test_what_asks_for_nothing_is_no_reason_to_refuse() -> None:
    harmless = {
        "n": 1, "logprobs": False, "top_logprobs": 0, "logit_bias": {}, "frequency_penalty": 0,
        "presence_penalty": 0.0, "modalities": ["text"], "verbosity": "medium", "temperature": 1,
        "tool_choice": "auto", "parallel_tool_calls": False, "response_format": {"type": "text"},
        "stop": None, "tools": [], "seed": 1, "prediction": {"type": "content"},
    }  # fmt: skip
    assert request(**harmless) == {**request(), "temperature": 1}


def test_left_out_fields_do_not_reach_anthropic() -> None:
    sent = request(store=True, metadata={"a": "b"}, prompt_cache_key="k", seed=3)
    assert not sent.keys() & LEFT_OUT


def test_many_brackets_are_no_depth() -> None:
    arguments = '{"a":[' + "[]," * 300 + "1]}"
    assert orjson.dumps(request(call(name="a", arguments=arguments)))


def test_unknown_fields_pass() -> None:
    assert request(container="c", brand_new={"a": 1})["brand_new"] == {"a": 1}


def test_no_thoughts_before_a_tool_that_must_be_called() -> None:
    sent = request(tools=[TOOL], tool_choice="required", reasoning_effort="high")
    assert "thinking" not in sent
    free = request(tools=[TOOL], reasoning_effort="high")
    assert free["thinking"] == {"type": "enabled", "budget_tokens": 16_384}


def test_a_limit_too_small_for_thoughts_has_none() -> None:
    assert "thinking" not in request(reasoning_effort="high", max_tokens=2000)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=5) | st.just([[]]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "role", "content", "type", "text", "function", "name", "arguments", "tool_calls",
                "image_url", "url", "file", "file_data", "thinking_blocks", "id", "cache_control",
                "signature", "json_schema", "schema", "tool_call_id", "parameters",
            ]),
            st.sampled_from(["user", "assistant", "tool", "text", "image_url", "file"]) | inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from([
            "model", "messages", "tools", "tool_choice", "stop", "response_format", "thinking",
            "output_config", "reasoning_effort", "max_tokens", "user", "service_tier", "n",
            "temperature", "logit_bias", "modalities",
        ]),
        JSON,
    ),
    st.lists(JSON, max_size=3),
)  # fmt: skip
def test_no_document_crashes_the_translation(doc: dict[str, Any], messages: list[Any]) -> None:
    for asked in (doc, {"model": "claude-sonnet-4-5", "messages": messages, **doc}):
        with suppress(UntranslatableError):
            assert orjson.dumps(ChatToAnthropic().request(asked))
