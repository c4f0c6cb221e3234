"""Messages requests that must be refused, with a word on what to do; and hostile ones."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.messages_translator import MessagesToChat
from proxy.providers.translation import Document, UntranslatableError
from tests.proxy.providers.test_anthropic_request import JSON

FIRST = "messages[0].content[0]"


def request(*turns: Any, **fields: Any) -> Document:
    messages = list(turns) or [{"role": "user", "content": "x"}]
    doc = {"model": "gpt-4o", "max_tokens": 9, "messages": messages, **fields}
    return MessagesToChat().request(doc)


def block(role: str = "user", **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": [fields]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "https://e.org"}]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"type": [], "name": "a"}]}, "tools[0]"),
        ({"tools": [{"name": "a"}], "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tools": [{"name": "a"}], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"stop_sequences": ["1", "2", "3", "4", "5"]}, "stop_sequences"),
        ({"stop_sequences": [7]}, "stop_sequences"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"model": 7}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"system": 7}, "system"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_fields_that_cannot_be_said_are_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        request(**fields)
    assert caught.value.param == param
    assert caught.value.hint


@pytest.mark.parametrize(
    ("turn", "param"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].role"),
        (block(type="container_upload", file_id="f"), "messages[0].content[0]"),
        (block("assistant", type="server_tool_use", id="1"), "messages[0].content[0]"),
        (block("assistant", type="tool_use", name="a", input={}), "messages[0].content[0].id"),
        (block("assistant", type="tool_use", id="1", name="a", input=7), f"{FIRST}.input"),
        (block("assistant", type=[]), FIRST),
        ({"role": [], "content": "x"}, "messages[0].role"),
        (block(type="image", source={"type": "file", "file_id": "f"}), f"{FIRST}.source"),
        (block(type="document", source={"type": "url", "url": "u"}), f"{FIRST}.source"),
        (block(type="document", source={"type": []}), f"{FIRST}.source"),
        (block(type="tool_result"), "messages[0].content[0].tool_use_id"),
        (block(type="text", text=7), "messages[0].content[0].text"),
        ({"role": "user", "content": 7}, "messages[0].content"),
    ],
)  # fmt: skip
def test_turns_that_cannot_be_said_are_refused(turn: Any, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        request(turn)
    assert caught.value.param == param
    assert caught.value.hint


def test_models_without_thoughts_are_not_asked_for_any() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2048}
    assert "reasoning_effort" not in request(thinking=thinking)
    assert request(thinking=thinking, model="qwen3")["reasoning_effort"] == "low"
    off = request(thinking={"type": "disabled"}, output_config={"effort": "low"}, model="o3")
    assert "reasoning_effort" not in off


def test_a_failed_tool_says_so_once() -> None:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "1", "is_error": True}
    said = [request(block(**result, content=text))["messages"][0] for text in ("no", "Error: no")]
    assert [message["content"] for message in said] == ["Error: no", "Error: no"]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    texts = request(block(**result, content=parts))["messages"][0]["content"]
    assert [part["text"] for part in texts] == ["Error:", "a", "b"]
    assert request(block(**result))["messages"][0]["content"] == "Error: "


def test_what_only_steers_caches_is_left_out() -> None:
    sent = request(cache_control={"type": "ephemeral"}, context_management={"edits": []})
    assert sent == request()


@given(
    st.dictionaries(
        st.sampled_from([
            "model", "messages", "tools", "tool_choice", "stop_sequences", "system", "thinking",
            "output_config", "output_format", "max_tokens", "metadata", "service_tier", "speed",
        ]),
        JSON,
    ),
    st.lists(JSON, max_size=3),
)  # fmt: skip
def test_no_document_crashes_the_translation(doc: dict[str, Any], messages: list[Any]) -> None:
    for asked in (doc, {"model": "gpt-5", "max_tokens": 9, "messages": messages, **doc}):
        with suppress(UntranslatableError):
            assert orjson.dumps(MessagesToChat().request(asked))
