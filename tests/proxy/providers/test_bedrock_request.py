"""Chat requests as Converse requests: goldens after AWS's examples, judged by botocore's shapes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.bedrock_parts import document_name
from proxy.providers.bedrock_request import to_converse
from proxy.providers.translation import UntranslatableError
from tests.proxy.providers.converse_shapes import assert_is_converse

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
NOVA = "amazon.nova-pro-v1:0"
USER = {"role": "user", "content": "Hi"}
PNG = "iVBORw0KGgo="

# The tool, ids and texts are those of the tool use example in AWS's Bedrock user guide.
TOP_SONG: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "top_song",
        "description": "Get the most popular song played on a radio station.",
        "parameters": {
            "type": "object",
            "properties": {"sign": {"type": "string", "description": "The call sign."}},
            "required": ["sign"],
        },
    },
}
CALL = {
    "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
    "type": "function",
    "function": {"name": "top_song", "arguments": '{"sign":"WZPZ"}'},
}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "You are an app that creates playlists."},
    {"role": "user", "content": "What is the most popular song on WZPZ?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {
        "role": "tool",
        "tool_call_id": CALL["id"],
        "content": '{"song": "Elemental Hotel", "artist": "8 Storey Hike"}',
    },
]


def translate(model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    doc = {"model": model, "messages": [USER], **fields}
    before = repr(doc)
    request = to_converse(doc)
    assert repr(doc) == before
    assert_is_converse(request)
    return request


def fields_of(request: dict[str, Any]) -> Any:
    return request.get("additionalModelRequestFields")


def test_aws_own_tool_conversation() -> None:
    request = translate(messages=CONVERSATION, tools=[TOP_SONG], max_tokens=512, temperature=0.5)
    assert request == {
        "system": [{"text": "You are an app that creates playlists."}],
        "messages": [
            {"role": "user", "content": [{"text": "What is the most popular song on WZPZ?"}]},
            {
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
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                            "content": [
                                {"text": '{"song": "Elemental Hotel", "artist": "8 Storey Hike"}'}
                            ],
                        }
                    }
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 512, "temperature": 0.5},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "top_song",
                        "description": "Get the most popular song played on a radio station.",
                        "inputSchema": {"json": TOP_SONG["function"]["parameters"]},
                    }
                }
            ]
        },
    }


def test_turns_of_one_role_are_one_turn() -> None:
    other = {**CALL, "id": "call_2"}
    messages = [
        USER,
        {"role": "user", "content": "Again"},
        {"role": "assistant", "content": "Sure.", "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": CALL["id"], "content": "a"},
        {"role": "tool", "tool_call_id": "call_2", "content": ""},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": ""},
    ]
    turns = translate(messages=messages, tools=[TOP_SONG])["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    kinds = [[next(iter(block)) for block in turn["content"]] for turn in turns]
    assert kinds == [
        ["text", "text"],
        ["text", "toolUse", "toolUse"],
        ["toolResult", "toolResult", "text"],
    ]
    assert turns[2]["content"][1]["toolResult"]["content"] == []


def test_pictures_and_documents_go_as_bytes() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {
            "type": "file",
            "file": {"filename": "a_b.v2.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
        },
    ]
    content = translate(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert content == [
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "pdf", "name": "a b v2", "source": {"bytes": PNG}}},
    ]
    assert document_name("") == document_name("___") == "document"


def test_cache_control_becomes_cache_points() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    part = {"type": "text", "text": "long", **mark}
    plain = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    request = translate(
        messages=[
            {"role": "system", "content": [plain]},
            {"role": "user", "content": [part, {"type": "text", "text": "q"}]},
        ],
        tools=[{**TOP_SONG, **mark}],
    )
    assert request["system"] == [{"text": "long"}, {"cachePoint": {"type": "default"}}]
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert request["messages"][0]["content"] == [{"text": "long"}, hour, {"text": "q"}]
    assert request["toolConfig"]["tools"][1] == hour


def test_thoughts_are_given_back_with_their_signature() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "thinking", "thinking": "unsigned"},
    ]
    said = {"role": "assistant", "content": "A", "thinking_blocks": blocks}
    turns = translate(messages=[USER, said, USER])["messages"]
    assert turns[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "A"},
    ]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "top_song"}}, {"tool": {"name": "top_song"}}),
    ],
)
def test_tool_choice(choice: Any, wanted: Any) -> None:
    request = translate(tools=[TOP_SONG], tool_choice=choice)
    assert request["toolConfig"]["toolChoice"] == wanted


def test_no_tools_when_none_may_be_called() -> None:
    assert "toolConfig" not in translate(tools=[TOP_SONG], tool_choice="none")
    assert "toolConfig" not in translate(tools=[])


def test_one_call_at_a_time_is_said_in_claudes_words() -> None:
    request = translate(tools=[TOP_SONG], tool_choice="required", parallel_tool_calls=False)
    assert fields_of(request) == {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    assert "toolChoice" not in request["toolConfig"]
    assert fields_of(translate(NOVA, tools=[TOP_SONG], parallel_tool_calls=True)) is None


def test_settings() -> None:
    request = translate(
        max_tokens=9, max_completion_tokens=7, top_p=0.5, stop="END", service_tier="flex", top_k=3,
        guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1"}, user="u", seed=1,
    )  # fmt: skip
    assert request["inferenceConfig"] == {"maxTokens": 7, "topP": 0.5, "stopSequences": ["END"]}
    assert request["serviceTier"] == {"type": "flex"}
    assert fields_of(request) == {"top_k": 3}
    assert request["guardrailConfig"]["guardrailIdentifier"] == "g"
    assert request.keys() == {
        "messages", "inferenceConfig", "serviceTier", "additionalModelRequestFields",
        "guardrailConfig",
    }  # fmt: skip


def test_json_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    request = translate(response_format=wanted)
    assert request["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {
                "jsonSchema": {
                    "schema": '{"type":"object","properties":{"a":{"type":"string"}}}',
                    "name": "x",
                }
            },
        }
    }
    assert "outputConfig" not in translate(response_format={"type": "text"})


@pytest.mark.parametrize(
    ("model", "effort", "fields"),
    [
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic.claude-opus-4-6-v1", "high", {"thinking": {"type": "adaptive"}}),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "high", None),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", "none", None),
        ("openai.gpt-oss-120b-1:0", "minimal", {"reasoning_effort": "low"}),
        (
            "us.amazon.nova-2-lite-v1:0",
            "max",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
        ),
        (NOVA, "high", None),
    ],
)
def test_reasoning_effort_in_each_familys_words(model: str, effort: str, fields: Any) -> None:
    request = translate(model, reasoning_effort=effort)
    assert fields_of(request) == fields
    if "4-6" in model:
        assert request["outputConfig"] == {"effort": "high"}


def test_thinking_leaves_room_and_drops_what_it_forbids() -> None:
    request = translate(reasoning_effort="high", max_tokens=4096, temperature=0.2, top_p=1)
    assert request["inferenceConfig"] == {"maxTokens": 4096}
    assert fields_of(request)["thinking"]["budget_tokens"] == 2048
    unbounded = translate(reasoning_effort="low")
    assert unbounded["inferenceConfig"] == {"maxTokens": 4096}
    assert fields_of(translate(reasoning_effort="low", max_tokens=2000)) is None


def test_claude_does_not_think_where_it_may_not() -> None:
    forced = translate(reasoning_effort="low", tools=[TOP_SONG], tool_choice="required")
    assert fields_of(forced) is None
    lost = translate(reasoning_effort="low", tools=[TOP_SONG], messages=CONVERSATION)
    assert fields_of(lost) is None
    block = {"type": "thinking", "thinking": "t", "signature": "s"}
    kept = [dict(message) for message in CONVERSATION]
    kept[2]["thinking_blocks"] = [block]
    request = translate(reasoning_effort="low", tools=[TOP_SONG], messages=kept)
    assert "thinking" in fields_of(request)


def test_the_callers_own_thinking_wins() -> None:
    thinking = {"type": "enabled", "budget_tokens": 5000}
    assert fields_of(translate(thinking=thinking, reasoning_effort="low")) == {"thinking": thinking}


PART = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": -1}, "max_completion_tokens"),
        ({"stop": [1]}, "stop"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"service_tier": []}, "service_tier"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "model": "openai.gpt-oss-20b", "n": 3}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": []}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": [TOP_SONG], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOP_SONG], "tool_choice": "none", "messages": CONVERSATION}, "tool_choice"),
        ({"messages": CONVERSATION}, "tools"),
        (
            {"model": NOVA, "tools": [TOP_SONG], "parallel_tool_calls": False},
            "parallel_tool_calls",
        ),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"role": "system", "content": "s"}]}, "messages"),
        ({"messages": [{"role": "bot", "content": "s"}]}, "messages[0].role"),
        ({"messages": [{"role": "function", "content": "s"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [PART]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
         "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
         "messages[0].content[0].file.file_id"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [
            {"id": "c", "function": {"name": "f", "arguments": "[1"}}]}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "c"}]}]},
         "messages[1].tool_calls[0]"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        ({"model": None}, "request.model"),
    ],
)  # fmt: skip
def test_what_bedrock_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_converse({"model": CLAUDE, "messages": [USER], **fields})
    assert caught.value.param == param
    assert caught.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9000) | st.text(max_size=5) | st.just("auto"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "function", "name", "text", "ttl", "file"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = (
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "stop",
    "temperature", "response_format", "reasoning_effort", "service_tier", "thinking",
    "additionalModelRequestFields", "outputConfig", "n",
)  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | JSON},
    optional={
        "content": JSON,
        "tool_calls": JSON,
        "thinking_blocks": JSON,
        "cache_control": JSON,
        "tool_call_id": JSON,
    },
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), st.lists(MESSAGE, max_size=3))
def test_any_document_is_translated_or_refused(fields: dict[str, Any], messages: Any) -> None:
    doc = {"model": CLAUDE, "messages": [USER, *messages], "tools": [TOP_SONG], **fields}
    try:
        request = to_converse(doc)
    except UntranslatableError as error:
        assert error.param  # noqa: PT017 either outcome is right
    else:
        assert request["messages"]
