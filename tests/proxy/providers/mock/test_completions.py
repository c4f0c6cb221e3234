"""What a chat answer contains, from the request alone: limits, stops, formats, reasoning."""

from typing import Any

import orjson
import pytest
from openai import BaseModel

from proxy.providers.mock.completions import Choice, Wishes, compose, read_chat_request
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.text import count_tokens
from tests.proxy.providers.mock.server import BODY, MockServer, assert_fits


class Visit(BaseModel):
    """A shape that structured outputs are asked for."""

    place: str
    stars: int


def compose_one(wishes: Wishes | None = None, **fields: Any) -> Choice:
    request = read_chat_request(orjson.dumps({**BODY, **fields}))
    return compose(request, wishes or Wishes()).choices[0]


@pytest.mark.parametrize("limit", [{"max_tokens": 5}, {"max_completion_tokens": 5}])
def test_limit_cuts_the_same_words(limit: dict[str, Any]) -> None:
    whole = compose_one()
    cut = compose_one(**limit)
    assert cut.content == (whole.content or "")[:20]
    assert cut.finish_reason == "length"
    assert cut.count_tokens() == 5


def test_limit_above_the_answer_changes_nothing() -> None:
    assert compose_one(max_tokens=4000) == compose_one()


def test_stop_sequence_ends_the_text() -> None:
    whole = compose_one().content or ""
    stop = whole[10:14]
    cut = compose_one(stop=["no such text", stop])
    assert cut.content == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


@pytest.mark.parametrize("tokens", [0, 1, 7, 500])
def test_exact_output_tokens(tokens: int) -> None:
    choice = compose_one(Wishes(output_tokens=tokens))
    assert count_tokens(choice.content or "") == tokens


def test_finish_reason_and_refusal_as_wished() -> None:
    assert compose_one(Wishes(finish_reason="content_filter")).finish_reason == "content_filter"
    refused = compose_one(Wishes(is_refusal=True))
    assert refused.content is None
    assert refused.refusal


def test_json_mode_gives_an_object() -> None:
    messages = [{"role": "user", "content": "Answer in JSON."}]
    choice = compose_one(messages=messages, response_format={"type": "json_object"})
    assert isinstance(orjson.loads(choice.content or ""), dict)


def test_json_mode_wants_the_word() -> None:
    with pytest.raises(MockError, match="json"):
        compose_one(response_format={"type": "json_object"})


@pytest.mark.parametrize("model", ["o3-mini", "o1", "gpt-5-mini"])
def test_reasoning_within_the_limit(model: str) -> None:
    body = {**BODY, "model": model, "max_completion_tokens": 100}
    answer = compose(read_chat_request(orjson.dumps(body)), Wishes())
    assert answer.reasoning_tokens == 100
    assert answer.choices[0].content == ""
    assert answer.choices[0].finish_reason == "length"
    none = {**BODY, "model": model, "reasoning_effort": "minimal"}
    assert compose(read_chat_request(orjson.dumps(none)), Wishes()).reasoning_tokens == 0


def test_reasoning_models_refuse_max_tokens() -> None:
    with pytest.raises(MockError, match="max_completion_tokens"):
        compose_one(model="o3", max_tokens=5)


async def test_structured_output_through_the_client(mock: MockServer) -> None:
    answer = await mock.client.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "user", "content": "A visit."}],
        response_format=Visit,
    )
    assert isinstance(answer.choices[0].message.parsed, Visit)


async def test_json_schema_answer_validates(mock: MockServer) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"enum": [1, 2]}}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    _, answer = await mock.post({**BODY, "response_format": wanted})
    assert_fits(orjson.loads(answer["choices"][0]["message"]["content"]), schema)


async def test_reasoning_tokens_in_the_usage(mock: MockServer) -> None:
    answer = await mock.client.chat.completions.create(**{**BODY, "model": "o3", "n": 2})
    assert answer.usage is not None
    details = answer.usage.completion_tokens_details
    assert details is not None
    assert details.reasoning_tokens
    assert details.reasoning_tokens % 128 == 0  # two choices of equal thinking
    (line,) = await mock.get("/mock/bill")
    assert line["reasoning_tokens"] == details.reasoning_tokens
    visible = answer.usage.completion_tokens - details.reasoning_tokens
    assert line["output_tokens"] == visible
