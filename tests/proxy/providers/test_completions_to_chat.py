"""Legacy completions over a chat upstream: what is said, what is refused, what comes back."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from proxy.providers.completions_to_chat import CompletionsToChat
from proxy.providers.translation import StreamTranslator, Translator, UntranslatableError
from tests.proxy.samples import USAGE, chunk, cuts, documents_in, event_of, stream_of, usage_chunk

ASKED: dict[str, Any] = {"model": "m", "prompt": "Say hi", "max_tokens": 5}


def translated(doc: dict[str, Any]) -> dict[str, Any]:
    before = orjson.dumps(doc)
    made = CompletionsToChat().request(doc)
    assert orjson.dumps(doc) == before
    return made


def test_it_offers_what_every_translation_does() -> None:
    translator: Translator = CompletionsToChat()
    stream: StreamTranslator = translator.stream(ASKED)
    assert stream.usage is None


@pytest.mark.parametrize("prompt", ["Say hi", ["Say hi"]])
def test_a_prompt_is_one_user_message(prompt: Any) -> None:
    fields = {"temperature": 0, "stop": ["x"], "n": 2, "user": "u", "seed": 7, "stream": True}
    made = translated({**ASKED, "prompt": prompt, **fields, "echo": False, "best_of": 1})
    messages = [{"role": "user", "content": "Say hi"}]
    assert made == {"model": "m", "max_tokens": 5, "messages": messages, **fields}


def test_the_legacy_limit_holds_when_none_is_given() -> None:
    assert translated({"model": "m", "prompt": "x"})["max_tokens"] == 16
    assert translated({"model": "m", "prompt": "x", "max_tokens": None})["max_tokens"] == 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", ""),
        ("prompt", []),
        ("prompt", ["a", "b"]),
        ("prompt", [1, 2]),
        ("prompt", [[1, 2]]),
        ("prompt", [""]),
        ("suffix", "end"),
        ("echo", True),
        ("best_of", 2),
        ("logprobs", 0),
        ("logprobs", 3),
        ("tools", []),
    ],
)
def test_what_a_chat_model_cannot_do_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        translated({**ASKED, field: value})
    assert caught.value.param == field
    assert caught.value.hint


def completion(*messages: dict[str, Any]) -> dict[str, Any]:
    choices = [
        {"index": place, "message": message, "finish_reason": "stop"}
        for place, message in enumerate(messages)
    ]
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1"}
    return {**head, "choices": choices, "usage": USAGE}


def test_an_answer_is_what_the_official_client_parses() -> None:
    parts = [{"type": "text", "text": "Bye"}]
    refusal = {"content": None, "refusal": "No."}
    document = completion({"content": "Hi"}, {"content": parts}, refusal)
    made = CompletionsToChat().answer(document, ASKED)
    parsed = Completion.model_validate(made)
    assert [choice.text for choice in parsed.choices] == ["Hi", "Bye", "No."]
    assert [choice.index for choice in parsed.choices] == [0, 1, 2]
    assert (parsed.id, parsed.model, parsed.object) == ("cmpl-1", "m-1", "text_completion")
    assert made["usage"] == USAGE


@pytest.mark.parametrize("document", [{}, {"choices": []}, {"choices": [7]}, {"choices": [{}]}])
def test_what_is_no_answer_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"choice"):
        CompletionsToChat().answer(document, ASKED)


CHUNKS = [
    chunk({"role": "assistant", "content": ""}, usage=None),
    chunk({"content": "Hello"}, usage=None),
    chunk({"content": " 🙂"}, index=1, usage=None),
    chunk({}, "stop", usage=None),
    usage_chunk(),
]


@given(st.booleans(), st.data())
def test_a_stream_keeps_its_words_however_it_is_cut(wants: bool, data: st.DataObject) -> None:
    asked = {**ASKED, "stream": True, "stream_options": {"include_usage": wants}}
    stream = CompletionsToChat().stream(asked)
    out = b"".join(stream.feed(piece) for piece in data.draw(cuts(stream_of(CHUNKS))))
    assert out.endswith(b"data: [DONE]\n\n")
    assert stream.is_done
    assert stream.usage == USAGE
    documents = documents_in(out)
    choices = [choice for document in documents for choice in document["choices"]]
    assert [(each["index"], each["text"]) for each in choices] == [
        (0, "Hello"),
        (1, " 🙂"),
        (0, ""),
    ]
    assert choices[-1]["finish_reason"] == "stop"
    assert documents[-1].get("usage") == (USAGE if wants else None)
    assert len(documents) == (4 if wants else 3)
    assert {(each["id"], each["object"]) for each in documents} == {("cmpl-1", "text_completion")}


def test_a_stream_cut_off_has_no_end_and_an_error_is_the_last_thing() -> None:
    stream = CompletionsToChat().stream(ASKED)
    out = stream.feed(stream_of(CHUNKS[:2], is_done=False))
    assert b"[DONE]" not in out
    assert not stream.is_done
    out = stream.feed(event_of({"error": "overloaded"}) + stream_of(CHUNKS))
    assert documents_in(out) == [
        {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}}
    ]
    assert stream.feed(stream_of(CHUNKS)) == b""
    assert not stream.is_done


def test_errors_are_chats() -> None:
    error = {"message": "m", "type": "t", "param": "p", "code": "c"}
    assert CompletionsToChat().error({"error": error}) == {"error": error}
    assert CompletionsToChat().error({"detail": "x"}) is None
