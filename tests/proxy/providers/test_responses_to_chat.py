"""The official client's Responses over a chat upstream: whole, streamed, parsed, with tools."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, RateLimitError
from pydantic import BaseModel

from proxy.providers.responses_to_chat import ResponsesToChat
from proxy.providers.translation import StreamTranslator, Translator
from tests.proxy.providers.bridge import bridge
from tests.proxy.providers.mock.server import running_mock

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TIME: Any = WEATHER | {"name": "get_time"}


class Bird(BaseModel):
    name: str
    wingspan_cm: int


def without_ids(answer: Any) -> Any:
    """All of an answer but what follows from the chat id: the mock's differ by `stream`."""
    document = answer.model_dump(exclude={"id", "created_at", "completed_at"})
    for item in document["output"]:
        del item["id"]
        item.pop("parsed_arguments", None)
        for part in item.get("content") or ():
            part.pop("parsed", None)
    return document


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Any]:
    async with (
        running_mock(tmp_path / "bill.jsonl") as mock,
        bridge(ResponsesToChat(), "/v1/responses", f"{mock.url}/v1/chat/completions") as url,
        AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=0) as opened,
    ):
        yield opened


def test_it_offers_what_every_translation_does() -> None:
    translator: Translator = ResponsesToChat()
    stream: StreamTranslator = translator.stream({"model": "m", "input": "x"})
    assert stream.usage is None
    assert translator.error({"error": "x"}) is not None


async def test_an_answer_is_whole_and_says_it_is_not_kept(client: Any) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "input": "Tell me about herons."}
    answer = await client.responses.create(**asked, instructions="Be brief.", temperature=0)
    assert answer.output_text
    assert (answer.status, answer.store, answer.instructions) == ("completed", False, "Be brief.")
    assert answer.id.startswith("resp_")
    assert answer.usage is not None
    total = answer.usage.input_tokens + answer.usage.output_tokens
    assert answer.usage.total_tokens == total > 0
    again = await client.responses.create(**asked, instructions="Be brief.", temperature=0)
    assert again == answer


async def test_a_stream_ends_in_the_twin_of_the_document(client: Any) -> None:
    asked: dict[str, Any] = {"model": "o3", "input": [{"role": "user", "content": "Herons?"}]}
    whole = await client.responses.create(**asked)
    async with client.responses.stream(**asked) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert without_ids(final) == without_ids(whole)
    assert {item.id.split("_")[1] for item in final.output} == {final.id.split("_")[1]}
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert len(deltas) > 5
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_a_structured_answer_is_parsed(client: Any) -> None:
    answer = await client.responses.parse(model="gpt-4o", input="A bird", text_format=Bird)
    assert isinstance(answer.output_parsed, Bird)
    async with client.responses.stream(model="gpt-4o", input="A bird", text_format=Bird) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == answer.output_parsed


async def test_a_loop_of_tools_as_agents_run_it(client: Any) -> None:
    items: list[Any] = [{"role": "user", "content": "Use get_weather and get_time for Oslo."}]
    first = await client.responses.create(model="gpt-4o", input=items, tools=[WEATHER, TIME])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": "fine"}
        for call in calls
    ]
    second = await client.responses.create(model="gpt-4o", input=items, tools=[WEATHER, TIME])
    assert second.output_text
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_streamed_calls_are_the_documents_calls(client: Any) -> None:
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "input": "get_weather, get_time",
        "tools": [WEATHER, TIME],
    }
    whole = await client.responses.create(**asked)
    async with client.responses.stream(**asked) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert without_ids(final) == without_ids(whole)
    dones = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [done.name for done in dones] == ["get_weather", "get_time"]


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_an_answer_cut_by_its_limit_is_incomplete(client: Any, is_streaming: bool) -> None:
    asked: Any = {"model": "gpt-4o", "input": "Tell me", "max_output_tokens": 3}
    if is_streaming:
        events = [event async for event in await client.responses.create(**asked, stream=True)]
        assert events[-1].type == "response.incomplete"
        answer = events[-1].response
    else:
        answer = await client.responses.create(**asked)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert len(answer.output_text) == 12
    assert answer.output[-1].status == "incomplete"


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_a_refusal_is_a_part_of_its_own(client: Any, is_streaming: bool) -> None:
    asked: Any = {"model": "gpt-4o", "input": "x", "extra_headers": {"x-mock-refusal": "1"}}
    if is_streaming:
        async with client.responses.stream(**asked) as stream:
            answer: Any = await stream.get_final_response()
    else:
        answer = await client.responses.create(**asked)
    assert answer.output[0].content[0].type == "refusal"
    assert answer.output[0].content[0].refusal


async def test_log_probabilities_arrive_with_the_text(client: Any) -> None:
    asked: Any = {"model": "gpt-4o", "input": "x", "top_logprobs": 2}
    whole = await client.responses.create(**asked)
    async with client.responses.stream(**asked) as stream:
        final = await stream.get_final_response()
    for answer in (whole, final):
        part = answer.output[0].content[0]
        assert "".join(each.token for each in part.logprobs) == answer.output_text
        assert {len(each.top_logprobs) for each in part.logprobs} == {2}


async def test_a_failing_stream_ends_with_one_error_event(client: Any) -> None:
    headers = {"x-mock-garbage": "error-event"}
    stream = await client.responses.create(
        model="gpt-4o", input="x", stream=True, extra_headers=headers
    )
    events = [event async for event in stream]
    assert [event.type for event in events].count("error") == 1
    assert events[-1].type == "error"
    assert "Simulated" in events[-1].message


async def test_errors_keep_their_class_and_what_needs_state_is_refused(client: Any) -> None:
    with pytest.raises(RateLimitError):
        await client.responses.create(
            model="gpt-4o", input="x", extra_headers={"x-mock-status": "429"}
        )
    with pytest.raises(BadRequestError) as caught:
        await client.responses.create(model="gpt-4o", input="x", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"
