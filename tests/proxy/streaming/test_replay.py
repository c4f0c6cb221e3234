"""A stored answer in the other form: points 14-18 of the wire list, checked with openai-python."""

from typing import Any

import httpx2
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.streaming.replay import DONE_EVENT, PIECE_CHARACTERS, as_document, as_stream
from tests.proxy.samples import (
    HEAD,
    HELLO,
    USAGE,
    chunk,
    documents_in,
    event_of,
    stored,
    stream_of,
    usage_chunk,
    whole_stream,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
TOOL_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
        }
    ),
    min_size=1,
    max_size=3,
)
LOGPROBS = st.none() | st.fixed_dictionaries(
    {
        "content": st.none()
        | st.lists(st.fixed_dictionaries({"token": TEXT, "logprob": st.floats(-9, 0)}), max_size=3),
        "refusal": st.none(),
    }
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | TEXT | TEXT.map(lambda t: t * 30)},
    optional={
        "refusal": st.none() | TEXT,
        "tool_calls": st.none() | TOOL_CALLS,
        "annotations": st.lists(
            st.fixed_dictionaries({"type": st.just("url_citation"), "x": ANYTHING}), max_size=2
        ),
        "function_call": st.none() | st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
        "audio": st.none() | st.fixed_dictionaries({"id": TEXT, "data": TEXT, "transcript": TEXT}),
        "reasoning_content": TEXT,
        "novel": ANYTHING,
    },
)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """Documents with n choices, and unknown fields at every level."""
    choices = [
        draw(
            st.fixed_dictionaries(
                {
                    "index": st.just(index),
                    "message": MESSAGES,
                    "finish_reason": st.sampled_from(["stop", "tool_calls", "function_call"]),
                },
                optional={"logprobs": LOGPROBS, "novel": ANYTHING},
            )
        )
        for index in range(draw(st.integers(1, 3)))
    ]
    optional = {
        "system_fingerprint": st.none() | TEXT,
        "service_tier": TEXT,
        "moderation": ANYTHING,
        "novel": ANYTHING,
    }
    extra = draw(st.fixed_dictionaries({}, optional=optional))
    return {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE, **extra}


@given(completions())
def test_document_to_stream_to_document_loses_nothing(document: dict[str, Any]) -> None:
    events = as_stream(stored("json", document), with_usage=True)
    again = orjson.loads(as_document(stored("sse", b"".join(events) + DONE_EVENT)))
    assert again == document


@given(completions())
def test_stream_to_document_to_stream_to_document_is_a_fixed_point(
    document: dict[str, Any],
) -> None:
    stream = b"".join(as_stream(stored("json", document), with_usage=True))
    first = as_document(stored("sse", stream + DONE_EVENT))
    second = as_document(stored("sse", b"".join(as_stream(stored("json", first), with_usage=True))))
    assert orjson.loads(second) == orjson.loads(first)


@given(completions(), st.booleans())
def test_a_replayed_stream_has_the_shape_clients_depend_on(
    document: dict[str, Any], with_usage: bool
) -> None:
    chunks = documents_in(as_stream(stored("json", document), with_usage=with_usage))
    assert {(c["id"], c["created"], c["model"], c["object"]) for c in chunks} == {
        (*(HEAD[name] for name in ("id", "created", "model")), "chat.completion.chunk")
    }
    for index in range(len(document["choices"])):
        pieces = [
            c["choices"][0] for c in chunks if c["choices"] and c["choices"][0]["index"] == index
        ]
        assert pieces[0]["delta"]["role"] == "assistant"
        assert not any("role" in piece["delta"] for piece in pieces[1:])
        reasons = [piece["finish_reason"] for piece in pieces]
        assert reasons[:-1] == [None] * (len(pieces) - 1)
        assert reasons[-1] == document["choices"][index]["finish_reason"]
    if with_usage:
        assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], USAGE)
        assert all(each["usage"] is None for each in chunks[:-1])
    else:
        assert all(each["choices"] and "usage" not in each for each in chunks)


TOOL_ANSWER = {
    **HEAD,
    "object": "chat.completion",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "Let me look. " * 60,
                "refusal": None,
                "annotations": [],
                "tool_calls": [
                    {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Bern"}'},
                    },
                    {
                        "id": "b",
                        "type": "function",
                        "function": {"name": "time", "arguments": "{}"},
                    },
                ],
            },
        },
        {
            "index": 1,
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {"token": "No", "logprob": -0.1, "bytes": [78, 111], "top_logprobs": []}
                ],
                "refusal": None,
            },
            "message": {"role": "assistant", "content": None, "refusal": "No."},
        },
    ],
    "usage": USAGE,
}


def served(body: bytes, content_type: str) -> openai.OpenAI:
    """An official client whose every call is answered with these bytes."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, content=body, headers={"content-type": content_type})
    )
    return openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport))


def test_the_official_client_reads_the_replayed_stream() -> None:
    events = as_stream(stored("json", TOOL_ANSWER), with_usage=True)
    client = served(b"".join([*events, DONE_EVENT]), "text/event-stream")
    state = ChatCompletionStreamState()
    for each in client.chat.completions.create(**HELLO, stream=True):
        ChatCompletionChunk.model_validate(each.model_dump(), strict=True)
        state.handle_chunk(each)
    final = state.get_final_completion()
    tools, refusal = final.choices
    assert tools.message.content == "Let me look. " * 60
    calls = tools.message.tool_calls or []
    assert [(c.id, c.function.name, c.function.arguments) for c in calls] == [
        ("a", "weather", '{"city":"Bern"}'),
        ("b", "time", "{}"),
    ]
    assert refusal.message.refusal == "No."
    assert refusal.logprobs is not None
    assert refusal.logprobs.content is not None
    assert refusal.logprobs.content[0].token == "No"
    assert final.usage is not None
    assert final.usage.total_tokens == 13
    assert final.service_tier == "default"


def test_the_official_client_reads_the_document_of_a_stream() -> None:
    stream = b"".join(as_stream(stored("json", TOOL_ANSWER), with_usage=True)) + DONE_EVENT
    client = served(as_document(stored("sse", stream)), "application/json")
    answer = client.chat.completions.create(**HELLO)
    assert answer == ChatCompletion.model_validate(TOOL_ANSWER)


@pytest.mark.parametrize("form", ["sse", "json"])
def test_the_form_asked_for_goes_out_byte_for_byte(form: Any) -> None:
    body = stream_of(whole_stream()) if form == "sse" else orjson.dumps(TOOL_ANSWER) + b"  "
    if form == "json":
        assert as_document(stored(form, body)) is body
    else:
        assert b"".join(as_stream(stored(form, body), with_usage=True)) + DONE_EVENT == body


def test_a_stored_stream_keeps_its_usage_from_who_did_not_ask() -> None:
    body = stream_of(whole_stream())
    events = as_stream(stored("sse", body), with_usage=False)
    assert b"".join(events) == stream_of(whole_stream()[:-1], is_done=False)


@pytest.mark.parametrize("choices", [[], None])
def test_both_spellings_of_a_usage_chunk_are_left_out(choices: Any) -> None:
    body = stream_of([*whole_stream()[:-1], usage_chunk() | {"choices": choices}])
    events = as_stream(stored("sse", body), with_usage=False)
    assert b"".join(events) == stream_of(whole_stream()[:-1], is_done=False)


def test_usage_beside_an_ending_stays() -> None:
    events = [chunk({"content": "a"}), chunk({}, "stop", usage=USAGE)]
    replayed = as_stream(stored("sse", stream_of(events)), with_usage=False)
    assert b"".join(replayed) == stream_of(events, is_done=False)


@pytest.mark.parametrize(
    "noise", [b'data: ["usage"]\n\n', b'data: "usage"\n\n', b'data: {"usage"\n\n', b": usage\n\n"]
)
def test_noise_in_a_stored_stream_is_replayed_and_breaks_nothing(noise: bytes) -> None:
    body = noise + stream_of(whole_stream())
    assert as_stream(stored("sse", body), with_usage=False)[0] == noise
    assert orjson.loads(as_document(stored("sse", body)))["usage"] == USAGE


def test_long_text_is_cut_and_joined_again() -> None:
    text = "🙂ä" * PIECE_CHARACTERS
    document = TOOL_ANSWER | {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]
    }
    chunks = documents_in(as_stream(stored("json", document), with_usage=False))
    texts = [c["choices"][0]["delta"].get("content") or "" for c in chunks]
    assert "".join(texts) == text
    assert max(map(len, texts)) == PIECE_CHARACTERS


def test_large_unknown_fields_are_not_repeated_in_every_chunk() -> None:
    """An answer may not grow by its number of chunks: memory stays in proportion."""
    text = "x" * PIECE_CHARACTERS * 100
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    document = {**HEAD, "choices": [choice], "prompt_logprobs": ["y" * 100_000]}
    events = as_stream(stored("json", document), with_usage=False)
    assert sum(map(len, events)) < 300_000


def test_content_in_parts_survives() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b"}]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": parts},
        "finish_reason": "stop",
    }
    document = TOOL_ANSWER | {"choices": [choice]}
    stream = b"".join(as_stream(stored("json", document), with_usage=True))
    assert orjson.loads(as_document(stored("sse", stream))) == document


@pytest.mark.parametrize(
    "choices",
    [
        [],
        None,
        5,
        "x",
        [None],
        [5, "x"],
        [{"message": "x"}],
        [{"message": {"tool_calls": "x", "content": 5}}],
        [{"message": {"tool_calls": [5, {"index": "y"}]}, "index": "z"}],
        [{}],
        [{"finish_reason": {"a": 1}}],
    ],
)
def test_a_document_of_another_shape_breaks_nothing(choices: Any) -> None:
    """Under an idempotency key an answer is kept as it came."""
    events = as_stream(stored("json", {**HEAD, "choices": choices}), with_usage=True)
    assert all(isinstance(each, dict) for each in documents_in(events))


def test_a_document_without_usage_gets_no_usage_chunk() -> None:
    document = {name: value for name, value in TOOL_ANSWER.items() if name != "usage"}
    chunks = documents_in(as_stream(stored("json", document), with_usage=True))
    assert all(each["choices"] for each in chunks)


def test_servers_that_number_every_tool_call_zero_do_not_lose_any() -> None:
    calls = [{"id": name, "index": 0, "function": {"name": name, "arguments": ""}} for name in "ab"]
    choice = {"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}
    chunks = documents_in(
        as_stream(stored("json", {**HEAD, "choices": [choice]}), with_usage=False)
    )
    numbers = [
        c["choices"][0]["delta"]["tool_calls"][0]["index"]
        for c in chunks
        if "tool_calls" in c["choices"][0]["delta"]
    ]
    assert numbers == [0, 1]


def test_an_end_marker_with_other_line_ends_is_not_replayed() -> None:
    body = event_of(whole_stream()[0], b"\r\n") + b"data:[DONE]\r\n\r\n"
    assert as_stream(stored("sse", body), with_usage=True) == [event_of(whole_stream()[0], b"\r\n")]
