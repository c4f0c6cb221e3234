"""Tool calls of the mock: which tools, arguments that fit, the stream's fragments."""

from typing import Any

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.proxy.providers.mock.server import MockServer, assert_fits

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}


def make_tool(name: str) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}


TOOLS = [make_tool("get_weather"), make_tool("get_tides")]


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4o", "messages": messages, "tools": TOOLS, **fields}


async def names_called(mock: MockServer, body: dict[str, Any]) -> list[str]:
    _, answer = await mock.post(body)
    calls = answer["choices"][0]["message"].get("tool_calls", [])
    for call in calls:
        assert_fits(orjson.loads(call["function"]["arguments"]), PARAMETERS)
    expected = "tool_calls" if calls else "stop"
    assert answer["choices"][0]["finish_reason"] == expected
    return [call["function"]["name"] for call in calls]


async def test_choice_decides(mock: MockServer) -> None:
    both = "Use get_weather and get_tides."
    named = {"type": "function", "function": {"name": "get_tides"}}
    assert await names_called(mock, ask("Hello.")) == []
    assert await names_called(mock, ask(both)) == ["get_weather", "get_tides"]
    assert await names_called(mock, ask(both, parallel_tool_calls=False)) == ["get_weather"]
    assert await names_called(mock, ask(both, tool_choice="none")) == []
    assert await names_called(mock, ask("Hello.", tool_choice="required")) == ["get_weather"]
    assert await names_called(mock, ask("Hello.", tool_choice=named)) == ["get_tides"]


async def test_a_tool_result_is_answered_in_words(mock: MockServer) -> None:
    body = ask("Use get_weather.")
    _, first = await mock.post(body)
    message = first["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Rain."}
    body["messages"] += [message, result]
    assert await names_called(mock, body) == []


async def test_stream_rebuilds_the_whole_answer(mock: MockServer) -> None:
    """Id and name only in a call's first delta, its arguments as fragments."""
    body = ask("Use get_weather and get_tides.")
    whole = await mock.client.chat.completions.create(**body)
    state = ChatCompletionStreamState()
    stream = await mock.client.chat.completions.create(**body, stream=True)
    named = 0
    async for chunk in stream:
        calls = chunk.choices[0].delta.tool_calls or []
        named += sum(call.id is not None for call in calls)
        state.handle_chunk(chunk)
    rebuilt = state.get_final_completion().choices[0].message
    expected = whole.choices[0].message
    assert named == 2
    assert rebuilt.tool_calls is not None
    assert expected.tool_calls is not None
    rebuilt_calls = [call.to_dict() for call in rebuilt.tool_calls]
    for call, original in zip(rebuilt_calls, expected.tool_calls, strict=True):
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)  # type: ignore[attr-defined]
        assert call == original.to_dict()


async def test_limit_cuts_the_arguments(mock: MockServer) -> None:
    _, answer = await mock.post(ask("Use get_weather.", max_tokens=6))
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["tool_calls"][0]["function"]["arguments"]) == 4 * (6 - 3)
    assert answer["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": ["get"]}, "tools[0]"),
        ({"tools": [{"type": "spell"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
    ],
)
async def test_malformed_tools(mock: MockServer, fields: dict[str, Any], param: str) -> None:
    status, answer = await mock.post(ask("Hello.", **fields))
    assert (status, answer["error"]["param"]) == (400, param)
