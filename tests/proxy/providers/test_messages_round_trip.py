"""Chat to Messages and back: whatever both dialects can say means the same afterwards."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.providers.messages_translator import MessagesToChat
from tests.proxy.providers.anthropic_golden import chat_stream, parse_chat_stream

MODEL = "claude-opus-4-8"
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NAME = st.sampled_from(["get_weather", "get_time", "chart"])
ARGUMENTS = st.dictionaries(
    TEXT, st.integers(0, 99) | TEXT | st.lists(TEXT, max_size=2), max_size=3
)
IMAGE = st.sampled_from(["https://e.org/a.png", "data:image/png;base64,iVBORw0KGgo="])
TEXT_PART = st.builds(lambda text: {"type": "text", "text": text}, TEXT)
IMAGE_PART = st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, IMAGE)
PARTS = st.lists(TEXT_PART | IMAGE_PART, min_size=2, max_size=4)


def call_of(place: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    return {"id": f"call_{place}", "type": "function", "function": function}


@st.composite
def exchanges(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Make a user's message and the assistant's, with tools and their results or without."""
    user = {"role": "user", "content": draw(TEXT | PARTS)}
    names = draw(st.lists(NAME, max_size=3))
    if not names:
        return [user, {"role": "assistant", "content": draw(TEXT)}]
    calls = [call_of(place, name, draw(ARGUMENTS)) for place, name in enumerate(names)]
    assistant = {"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)} for call in calls
    ]
    return [user, assistant, *results, {"role": "assistant", "content": draw(TEXT)}]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    messages = [m for exchange in draw(st.lists(exchanges(), max_size=2)) for m in exchange]
    messages.append({"role": "user", "content": draw(TEXT)})
    if draw(st.booleans()):
        messages.insert(0, {"role": "system", "content": draw(TEXT)})
    function = {"name": "get_weather", "parameters": {"type": "object"}, "strict": True}
    choices: list[Any] = ["auto", "none", "required"]
    choices.append({"type": "function", "function": {"name": "get_weather"}})
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    optional = {
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop": st.lists(st.sampled_from(["END", "STOP"]), min_size=1, max_size=2),
        "user": TEXT,
        "service_tier": st.sampled_from(["auto", "default"]),
        "reasoning_effort": st.sampled_from(["low", "medium", "high", "xhigh", "max"]),
        "response_format": st.just({"type": "json_schema", "json_schema": schema}),
    }
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    if draw(st.booleans()):
        fields["tools"] = [{"type": "function", "function": function}]
        fields |= draw(
            st.fixed_dictionaries({}, optional={"tool_choice": st.sampled_from(choices)})
        )
        if "tool_choice" in fields and fields["tool_choice"] != "none" and draw(st.booleans()):
            fields["parallel_tool_calls"] = False
    return {"model": MODEL, "max_tokens": draw(st.integers(1, 99)), "messages": messages, **fields}


@given(requests())
def test_requests_keep_their_meaning(doc: dict[str, Any]) -> None:
    back = MessagesToChat().request(ChatToAnthropic().request(doc))
    # Anthropic's own knob for how thoughts are had; chat has but the effort.
    assert {k: v for k, v in back.items() if k != "thinking"} == doc


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    calls = [call_of(at, draw(NAME), draw(ARGUMENTS)) for at in range(draw(st.integers(0, 3)))]
    message: dict[str, Any] = {"role": "assistant", "content": draw(TEXT), "refusal": None}
    if calls:
        message["tool_calls"] = calls
    thought = draw(st.none() | TEXT)
    if thought is not None:
        message["reasoning_content"] = thought
        block = {"type": "thinking", "thinking": thought, "signature": "s"}
        message["thinking_blocks"] = [block]
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    read, written, plain, out = (draw(st.integers(0, 999)) for _ in range(4))
    usage = {
        "prompt_tokens": plain + read + written,
        "completion_tokens": out,
        "total_tokens": plain + read + written + out,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
    }


@given(completions())
def test_answers_keep_their_meaning(completion: dict[str, Any]) -> None:
    message = MessagesToChat().answer(completion, {})
    assert ChatToAnthropic().answer(message, {}) == completion


def chunks_of(completion: dict[str, Any]) -> list[Any]:
    """Cut an answer into the chunks of a stream."""
    message = completion["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if "reasoning_content" in message:
        deltas.append({"reasoning_content": message["reasoning_content"]})
        deltas.append({"thinking_blocks": [{"index": 0, "type": "thinking", "signature": "s"}]})
    deltas += [{"content": character} for character in message["content"]]
    for index, call in enumerate(message.get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        first = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        deltas.append({"tool_calls": [first]})
        pieces = (arguments[:3], arguments[3:])
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": p}}]} for p in pieces]
    reason = completion["choices"][0]["finish_reason"]
    head = {"id": "chatcmpl-1", "model": "m"}
    chunks: list[Any] = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return [*chunks, {**head, "choices": [], "usage": completion["usage"]}, "[DONE]"]


@given(completions())
def test_streams_keep_their_meaning(completion: dict[str, Any]) -> None:
    there = MessagesToChat().stream({}).feed(chat_stream(chunks_of(completion)))
    back = ChatToAnthropic().stream({"stream_options": {"include_usage": True}})
    *chunks, usage, done = parse_chat_stream(back.feed(there))
    assert done == "[DONE]"
    assert usage["usage"] == completion["usage"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    choice = completion["choices"][0]
    message = choice["message"]
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"]
    thoughts = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert thoughts == message.get("reasoning_content", "")
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", ())]
    for index, call in enumerate(message.get("tool_calls", ())):
        mine = [piece for piece in pieces if piece["index"] == index]
        assert mine[0]["id"] == call["id"]
        assert mine[0]["function"]["name"] == call["function"]["name"]
        arguments = "".join(piece["function"]["arguments"] for piece in mine)
        assert arguments == call["function"]["arguments"]
