"""What a chat request may not say to Gemini, what is left out, and hostile shapes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.gemini_request import chat_to_gemini
from proxy.providers.translation import UntranslatableError

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "now"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


def ask(model: str = "gemini-2.5-flash", **fields: Any) -> dict[str, Any]:
    return chat_to_gemini({"model": model, "messages": HELLO, **fields})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"web_search_options": {"user_location": None}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": "text"}, "modalities"),
        ({"verbosity": "low"}, "verbosity"),
        ({"verbosity": []}, "verbosity"),
        ({"reasoning_effort": "none", "model": "gemini-3-flash-preview"}, "reasoning_effort"),
        ({"reasoning_effort": "none", "model": "gemini-2.5-pro"}, "reasoning_effort"),
        ({"reasoning_effort": {}}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "2do"}}]}, "tools[0].function.name"),
        ({"tools": "now"}, "tools"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "then"}}},
            "tool_choice",
        ),
        ({"google": {"tools": [{"googleSearch": {}}]}}, "google"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "function", "content": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "messages[0].content"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c9", "content": "1"}]},
            "messages[0].tool_call_id",
        ),
    ],
)
def test_refused_with_a_hint(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        ask(**fields)
    assert caught.value.param == param
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,plain"}},
        {"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}},
        {"type": "image_url"},
        {"type": "file", "file": {"file_id": "file-abc"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "text", "text": 1},
        "text",
    ],
)
def test_parts_gemini_cannot_be_sent(part: Any) -> None:
    with pytest.raises(UntranslatableError, match="content"):
        chat_to_gemini({"messages": [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize("arguments", ["[1]", "{", "null", {}, "[" * 900])
def test_arguments_that_are_no_object(arguments: Any) -> None:
    call = {"id": "c1", "function": {"name": "now", "arguments": arguments}}
    with pytest.raises(UntranslatableError, match="arguments"):
        chat_to_gemini({"messages": [{"role": "assistant", "tool_calls": [call]}]})


def test_values_too_deep_to_send_on() -> None:
    deep = '{"a":' * 400 + "1" + "}" * 400
    call = {"id": "c1", "function": {"name": "now", "arguments": deep}}
    with pytest.raises(UntranslatableError, match="too deeply"):
        chat_to_gemini({"messages": [{"role": "assistant", "tool_calls": [call]}]})
    said = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": deep}
    with pytest.raises(UntranslatableError, match="too deeply"):
        chat_to_gemini({"messages": [said, result]})


def test_nothing_asked_nothing_sent() -> None:
    unsaid: dict[str, Any] = {
        "user": "u", "metadata": {"a": "b"}, "store": True, "stream": True, "n": 1, "stop": [],
        "temperature": None, "tools": [], "tool_choice": None, "response_format": {"type": "text"},
        "modalities": ["text"], "service_tier": "auto", "prediction": {"type": "content"},
        "logprobs": False, "parallel_tool_calls": False, "some_new_field": 1,
    }  # fmt: skip
    assert ask(**unsaid) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_instructions_alone_are_said_by_the_user() -> None:
    body = chat_to_gemini({"messages": [{"role": "system", "content": "Tell a joke."}]})
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]}


def test_neighbours_of_one_role_are_one_turn() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "", "tool_calls": None},
        {"role": "developer", "content": "brief"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": "c"},
    ]
    body = chat_to_gemini({"messages": messages})
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert body["contents"][0]["parts"] == [{"text": "a"}, {"text": "b"}]
    assert body["systemInstruction"] == {"parts": [{"text": "brief"}]}


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", "minimal", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "xhigh", {"thinkingBudget": 24_576}),
        ("gemini-3-flash-preview", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-4-argon", "medium", {"thinkingLevel": "MEDIUM"}),
        ("gemini-flash-latest", "high", {"thinkingLevel": "HIGH"}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-4-26b-a4b-it", "high", None),
    ],
)
def test_effort(model: str, effort: str, config: dict[str, Any] | None) -> None:
    found = ask(model, reasoning_effort=effort).get("generationConfig", {})
    assert found.get("thinkingConfig") == config


def test_googles_own_thinking_wins_over_the_effort() -> None:
    extra = {"google": {"thinking_config": {"thinking_budget": 77}}}
    config = ask(reasoning_effort="high", extra_body=extra)["generationConfig"]
    assert config == {"thinkingConfig": {"thinkingBudget": 77}}


def test_allowed_tools() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "now"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    config = ask(tools=[TOOL], tool_choice=choice)["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": "ANY", "allowedFunctionNames": ["now"]}
    allowed["mode"] = "auto"
    with pytest.raises(UntranslatableError, match="open"):
        ask(tools=[TOOL], tool_choice=choice)


def test_signature_of_a_text_and_pictures_go_back() -> None:
    message = {
        "role": "assistant",
        "content": "Here.",
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        "extra_content": {"google": {"thought_signature": "c2ln"}},
        "reasoning_content": "left out",
    }
    parts = chat_to_gemini({"messages": [message]})["contents"][0]["parts"]
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
    assert parts == [{"text": "Here."}, picture]


def test_pictures_in_a_tool_result() -> None:
    content = [
        {"type": "text", "text": "seen"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    said = {"role": "assistant", "tool_calls": [CALL]}
    body = chat_to_gemini(
        {"messages": [said, {"role": "tool", "tool_call_id": "c1", "content": content}]}
    )
    result = body["contents"][1]["parts"][0]["functionResponse"]
    assert result["response"] == {"output": "seen"}
    assert result["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


_WORDS = st.text('type{"ünk', max_size=4)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)
_NAMES = (
    "messages", "tools", "tool_choice", "response_format", "modalities", "stop", "n", "seed",
    "reasoning_effort", "google", "extra_body", "safety_settings", "verbosity", "service_tier",
    "thinking_config", "parallel_tool_calls", "model",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(_NAMES), _JSON), st.booleans())
def test_any_shape_is_translated_or_refused(fields: dict[str, Any], has_messages: bool) -> None:
    doc = {**fields, "messages": HELLO} if has_messages else fields
    try:
        body = chat_to_gemini(doc)
    except UntranslatableError:
        return
    assert orjson.loads(orjson.dumps(body)) == body


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "images",
    "extra_content", "tool_call_id", "refusal"]), _JSON | st.sampled_from(["user", "assistant",
    "tool", "system"])), max_size=4))  # fmt: skip
def test_any_message_is_translated_or_refused(messages: list[Any]) -> None:
    try:
        body = chat_to_gemini({"messages": messages})
    except UntranslatableError:
        return
    assert all(turn["parts"] for turn in body["contents"])
