"""Input items as chat messages: texts, pictures, turns with calls, and what cannot be said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.responses_items import messages_of
from proxy.providers.translation import UntranslatableError

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_text_is_a_user_message() -> None:
    assert messages_of("hi") == [{"role": "user", "content": "hi"}]


def test_parts_of_every_kind() -> None:
    parts = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:x"},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]
    assert messages_of([{"role": "user", "content": parts}]) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {
                    "type": "image_url",
                    "image_url": {"url": "https://example.com/a.png", "detail": "low"},
                },
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x"}},
                {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            ],
        }
    ]


def test_a_turn_with_calls_is_one_message_and_outputs_follow() -> None:
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "so"}],
    }
    second = CALL | {"call_id": "c2"}
    items = [
        {"type": "reasoning", "summary": []},
        said,
        CALL,
        second,
        OUTPUT,
        OUTPUT | {"call_id": "c2"},
    ]
    messages = messages_of(items)
    assert messages == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "so"}],
            "tool_calls": [TOOL_CALL, TOOL_CALL | {"id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "tool", "tool_call_id": "c2", "content": "42"},
    ]


def test_calls_one_after_the_other_are_turns_of_their_own() -> None:
    items = [CALL, OUTPUT, CALL | {"call_id": "c2"}, OUTPUT | {"call_id": "c2"}]
    roles = [message["role"] for message in messages_of(items)]
    assert roles == ["assistant", "tool", "assistant", "tool"]


def test_words_between_a_call_and_its_output_join_the_call() -> None:
    said = {"role": "assistant", "content": "one moment"}
    messages = messages_of([CALL, said, OUTPUT])
    assert [message["role"] for message in messages] == ["assistant", "tool"]
    assert messages[0]["content"] == [{"type": "text", "text": "one moment"}]


def test_custom_tools_and_outputs_in_parts() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"}
    output = {"type": "custom_tool_call_output", "call_id": "c1"}
    made = messages_of([call, output | {"output": [{"type": "input_text", "text": "1"}]}])
    assert made == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "1"}]},
    ]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (7, "input[0]"),
        ({"type": "item_reference", "id": "msg_1"}, "input[0]"),
        ({"type": "web_search_call", "id": "ws_1"}, "input[0]"),
        ({"type": ["x"]}, "input[0]"),
        ({"role": "tool", "content": "x"}, "input[0].role"),
        ({"role": ["user"], "content": "x"}, "input[0].role"),
        ({"role": "user"}, "input[0].content"),
        ({"role": "user", "content": [7]}, "input[0].content[0]"),
        ({"role": "user", "content": [{"type": "input_video"}]}, "input[0].content[0]"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content[0].text"),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            "input[0].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]},
            "input[0].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_url": "u"}]},
            "input[0].content[0]",
        ),
        (CALL | {"call_id": None}, "input[0].call_id"),
        (OUTPUT | {"output": None}, "input[0].output"),
        (
            OUTPUT | {"output": [{"type": "input_image", "image_url": "u"}]},
            "input[0].output",
        ),
    ],
)
def test_what_chat_cannot_say_is_refused_by_place(item: Any, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        messages_of([item])
    assert caught.value.param == param
    assert caught.value.hint


kinds = st.sampled_from(
    ["message", "function_call", "custom_tool_call", "function_call_output", "reasoning", "x"]
)
values = st.none() | st.text(max_size=3) | st.lists(st.dictionaries(st.just("type"), kinds))
names = st.sampled_from(["role", "content", "call_id", "name", "arguments", "input", "output"])


@given(
    st.lists(
        st.dictionaries(names, values).flatmap(
            lambda item: kinds.map(lambda kind: {**item, "type": kind})
        ),
        min_size=1,
    )
)
def test_hostile_items_are_translated_or_refused(items: list[Any]) -> None:
    try:
        messages = messages_of(items)
    except UntranslatableError as error:
        place = error.param or ""
    else:
        place = "input["
        assert len(messages) <= len(items)
    assert place.startswith("input[")
