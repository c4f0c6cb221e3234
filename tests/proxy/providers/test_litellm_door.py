"""The door to litellm: calls, answers and streams of real providers' payloads, and no network.

The only file of tests that imports litellm: it costs seconds, once.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.providers.litellm_door import ENVIRONMENT, ChatViaLitellm, load
from proxy.providers.litellm_kinds import ADDRESS_EXAMPLES, ADDRESSES
from proxy.providers.translation import UntranslatableError

USER = {"role": "user", "content": "Hi"}
TOOL = {
    "type": "function",
    "function": {"name": "qa", "description": "d", "parameters": {"type": "object"}},
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let nobody reach a socket or a name server, at litellm's import included."""
    asked: list[str] = []

    def refuse(*args: Any, **_: Any) -> NoReturn:
        asked.append(repr(args))
        raise AssertionError(f"network: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # put back afterwards
    load()
    yield asked
    assert asked == []


def door(kind: str, model: str = "m") -> ChatViaLitellm:
    base_url = "" if ADDRESSES[kind] else ADDRESS_EXAMPLES[kind]
    return ChatViaLitellm(kind, model, api_key="KEY", base_url=base_url)


@pytest.mark.parametrize(
    ("kind", "url", "credential"),
    [
        ("ai21", "https://api.ai21.com/studio/v1/chat/completions",
         ("Authorization", "Bearer KEY")),
        ("azure_ai", "https://RESOURCE.services.ai.azure.com/models/chat/completions",
         ("Api-Key", "KEY")),
        ("cohere", "https://api.cohere.com/v2/chat", ("Authorization", "Bearer KEY")),
        ("cohere_chat", "https://api.cohere.com/v2/chat", ("Authorization", "Bearer KEY")),
        ("databricks",
         "https://WORKSPACE.cloud.databricks.com/serving-endpoints/chat/completions",
         ("Authorization", "Bearer KEY")),
        ("snowflake",
         "https://ACCOUNT.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
         ("Authorization", "Bearer KEY")),
    ],
)  # fmt: skip
def test_a_call_is_prepared_for_every_kind(
    kind: str, url: str, credential: tuple[str, str]
) -> None:
    doc = {"model": "public", "messages": [USER], "max_tokens": 5}
    before = orjson.dumps(doc)
    call = door(kind).prepare(doc, is_streaming=False)
    assert call.url.lower() == url.lower()  # one kind writes hosts small
    assert orjson.dumps(doc) == before
    assert call.headers["Content-Type"] == "application/json"
    assert len({name.lower() for name in call.headers}) == len(call.headers)
    assert not any("litellm" in value.lower() for value in call.headers.values())
    assert call.headers[credential[0]] == credential[1]
    assert "KEY" not in repr(call)
    assert b"Hi" in call.body
    assert orjson.loads(call.body).get("stream", False) is False


def test_every_kind_of_the_table_is_tried_above() -> None:
    marks = test_a_call_is_prepared_for_every_kind.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(ADDRESSES)


def test_settings_and_tools_go_along() -> None:
    doc = {
        "model": "public", "messages": [USER], "max_completion_tokens": 9, "temperature": 0.5,
        "stop": ["END"], "tools": [TOOL], "user": "u", "stream": True,
    }  # fmt: skip
    body = orjson.loads(door("cohere", "command-a").prepare(doc, is_streaming=True).body)
    assert body["model"] == "command-a"
    assert body["max_tokens"] == 9
    assert body["temperature"] == 0.5
    assert body["stop_sequences"] == ["END"]
    assert body["tools"][0]["function"]["name"] == "qa"
    assert body["stream"] is True
    assert "user" not in body


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        ("cohere", {"logit_bias": {"1": 2}}, "logit_bias"),
        ("ai21", {"logit_bias": {"1": 1}}, "logit_bias"),
        ("azure_ai", {"extra_headers": {"a": "b"}}, "extra_headers"),
        ("azure_ai", {"api_base": "https://example.org"}, "api_base"),
        ("ai21", {"messages": "hi"}, "messages"),
        ("ai21", {"messages": []}, "messages"),
    ],
)
def test_what_a_provider_lacks_is_refused(kind: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        door(kind).prepare({"model": "m", "messages": [USER], **fields}, is_streaming=False)
    assert caught.value.param == param


@pytest.mark.parametrize("kind", ADDRESSES)
def test_odd_messages_never_crash_and_never_fetch(kind: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [picture]},
        {"role": "user", "content": [{"type": "image_url"}]},
        {"role": "tool", "content": 7},
        {"role": "robot"},
        {"content": {}},
        {"role": "assistant", "tool_calls": [{"id": 1}]},
        {},
    ]
    for message in messages:
        try:
            call = door(kind).prepare({"model": "m", "messages": [message]}, is_streaming=False)
        except UntranslatableError as error:
            assert error.hint and "KEY" not in error.message  # noqa: PT017, PT018 either is right
        else:
            assert orjson.loads(call.body)


# Origin: the example answer of Cohere's API reference, POST /v2/chat.
COHERE: dict[str, Any] = {
    "id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4",
    "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant",
        "content": [{"type": "text", "text": "LLMs stand for Large Language Models."}],
    },
    "usage": {
        "billed_units": {"input_tokens": 5, "output_tokens": 418},
        "tokens": {"input_tokens": 71, "output_tokens": 418},
    },
}
# Origin: the shape of AI21's and Databricks' answers in their API references.
OPENAI_LIKE: dict[str, Any] = {
    "id": "chatcmpl-2e6d", "object": "chat.completion", "created": 1698824353, "model": "jamba",
    "choices": [{
        "index": 0, "message": {"role": "assistant", "content": "Salut."}, "finish_reason": "stop",
    }],
    "usage": {"prompt_tokens": 83, "completion_tokens": 24, "total_tokens": 107},
}  # fmt: skip
ASKED = {"model": "public", "messages": [USER], "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("kind", "document", "text", "tokens"),
    [
        ("cohere", COHERE, "LLMs stand for Large Language Models.", (71, 418)),
        ("ai21", OPENAI_LIKE, "Salut.", (83, 24)),
        ("databricks", OPENAI_LIKE, "Salut.", (83, 24)),
        ("azure_ai", OPENAI_LIKE, "Salut.", (83, 24)),
        ("snowflake", OPENAI_LIKE, "Salut.", (83, 24)),
    ],
)
def test_answers(kind: str, document: dict[str, Any], text: str, tokens: tuple[int, int]) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = door(kind).answer(orjson.dumps(document), headers, ASKED)
    completion = ChatCompletion.model_validate(answer)
    assert completion.choices[0].message.content == text
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "public"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == tokens


@pytest.mark.parametrize("kind", ["cohere", "ai21", "databricks"])
def test_usage_nobody_sent_is_unknown(kind: str) -> None:
    document = dict(COHERE if kind == "cohere" else OPENAI_LIKE)
    del document["usage"]
    assert "usage" not in door(kind).answer(orjson.dumps(document), {}, ASKED)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": 5}'])
@pytest.mark.parametrize("kind", ["cohere", "ai21"])
def test_what_is_no_answer_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        door(kind).answer(body, {}, ASKED)


# Origin: the events of a tool-calling stream in Cohere's streaming guide, shortened.
COHERE_EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "29f14a5a", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-start", "index": 0,
     "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "LLM"}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "s"}}}},
    {"type": "content-end", "index": 0},
    {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {
        "id": "call_1", "type": "function", "function": {"name": "qa", "arguments": ""}}}}},
    {"type": "tool-call-delta", "index": 0,
     "delta": {"message": {"tool_calls": {"function": {"arguments": '{"a":'}}}}},
    {"type": "tool-call-delta", "index": 0,
     "delta": {"message": {"tool_calls": {"function": {"arguments": " 1}"}}}}},
    {"type": "tool-call-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": COHERE["usage"]}},
]  # fmt: skip


def collect(data: bytes) -> ChatCompletion:
    state = ChatCompletionStreamState()
    assert data.endswith(b"data: [DONE]\n\n")
    for event in data.split(b"\n\n")[:-2]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:]))
    return state.get_final_completion()


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_stream_of_coheres(step: int) -> None:
    data = b"".join(
        f"event: {event['type']}\n".encode() + b"data: " + orjson.dumps(event) + b"\n\n"
        for event in COHERE_EVENTS
    )
    stream = door("cohere").stream(ASKED)
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    answer = collect(b"".join(stream.feed(part) for part in parts))
    assert answer.choices[0].message.content == "LLMs"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].model_dump(exclude={"index": True, "function": {"parsed_arguments": True}}) == {
        "id": "call_1", "type": "function", "function": {"name": "qa", "arguments": '{"a": 1}'},
    }  # fmt: skip
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 71
    assert stream.raw_usage == COHERE["usage"]
    assert stream.is_done


@pytest.mark.parametrize("kind", ["ai21", "databricks", "azure_ai", "snowflake"])
def test_a_stream_in_openais_own_shape(kind: str) -> None:
    def chunk(delta: Any, reason: Any = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x"}
        return b"data: " + orjson.dumps({**head, "choices": choices, **more}) + b"\n\n"

    data = (
        chunk({"role": "assistant", "content": ""})
        + chunk({"content": "Sal"})
        + chunk({"content": "ut."})
        + chunk({"content": ""}, "stop", usage=OPENAI_LIKE["usage"])
        + b"data: [DONE]\n\n"
    )
    stream = door(kind).stream(ASKED)
    answer = collect(stream.feed(data))
    assert answer.choices[0].message.content == "Salut."
    assert answer.model == "public"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 107
    assert stream.usage is not None
    assert stream.is_done


def test_pictures_litellm_would_fetch_are_refused() -> None:
    import litellm

    with pytest.raises(UntranslatableError, match="fetch"):
        litellm.module_level_client.get("https://example.org/a.png")


def test_the_environment_it_reads_is_set_by_load() -> None:
    code = "import os; print([os.environ.get(name) for name in " + repr([*ENVIRONMENT]) + "])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert shown.stdout.strip() == repr([*ENVIRONMENT.values()])
