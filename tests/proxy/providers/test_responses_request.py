"""A Responses request in chat's words: what passes, what is renamed, what is refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.responses_request import chat_request
from proxy.providers.translation import UntranslatableError

USER = [{"role": "user", "content": "hi"}]


def translated(**doc: Any) -> dict[str, Any]:
    asked = {"model": "m", "input": "hi", **doc}
    before = orjson.dumps(asked)
    made = chat_request(asked)
    assert orjson.dumps(asked) == before
    assert made.pop("model") == "m"
    return made


def refused(**doc: Any) -> UntranslatableError:
    with pytest.raises(UntranslatableError) as caught:
        translated(**doc)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("doc", "chat"),
    [
        ({}, {}),
        ({"max_output_tokens": 5}, {"max_completion_tokens": 5}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low", "format": {"type": "text"}}}, {"verbosity": "low"}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": True},
                }
            },
        ),
        ({"top_logprobs": 3}, {"top_logprobs": 3, "logprobs": True}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"stream": True, "stream_options": {"include_usage": True}},
        ),
        (
            {"temperature": 0, "user": "u", "service_tier": "flex", "new_field": [1]},
            {"temperature": 0, "user": "u", "service_tier": "flex", "new_field": [1]},
        ),
        ({"store": False, "background": False, "metadata": {"a": "b"}, "truncation": "auto"}, {}),
        ({"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}, {}),
    ],
)
def test_fields(doc: dict[str, Any], chat: dict[str, Any]) -> None:
    assert translated(**doc) == {"messages": USER, **chat}


def test_tools_and_the_choice_between_them() -> None:
    function: Any = {"type": "function", "name": "f", "parameters": {}, "strict": None}
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    custom = {"type": "custom", "name": "c", "format": grammar}
    made = translated(
        tools=[function, custom],
        tool_choice={"type": "custom", "name": "c"},
        parallel_tool_calls=False,
    )
    nested = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    assert made["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "custom", "custom": {"name": "c", "format": nested}},
    ]
    assert made["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}
    assert made["parallel_tool_calls"] is False


def test_instructions_come_first() -> None:
    made = translated(instructions="be kind")
    assert made["messages"] == [{"role": "system", "content": "be kind"}, *USER]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", {"id": "conv_1"}),
        ("background", True),
        ("store", True),
        ("prompt", {"id": "pmpt_1"}),
        ("context_management", [{"type": "compaction"}]),
        ("instructions", ["x"]),
        ("input", None),
        ("input", []),
        ("input", 7),
        ("reasoning", "low"),
        ("text", []),
        ("tools", {}),
    ],
)
def test_what_is_refused_is_named(field: str, value: Any) -> None:
    assert refused(**{field: value}).param == field


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = ("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "stream")


@given(st.dictionaries(st.sampled_from(FIELDS), values))
def test_hostile_requests_are_translated_or_refused(doc: dict[str, Any]) -> None:
    try:
        made = chat_request(doc)
    except UntranslatableError as error:
        made = {"messages": error.hint}
    assert made["messages"]
