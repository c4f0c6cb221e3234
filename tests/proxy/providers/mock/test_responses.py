"""The mock's Responses as openai-python sees them: whole, streamed, kept, in the background."""

import asyncio
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError, RateLimitError
from openai.types.responses import Response
from pydantic import BaseModel

from proxy.streaming.responses_tap import ResponsesTap
from tests.proxy.providers.mock.server import DEADLINE_S, MockServer

BODY: dict[str, Any] = {"model": "gpt-4o", "input": "Tell me about herons."}
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
BACKGROUND: dict[str, Any] = {**BODY, "background": True}


class Bird(BaseModel):
    name: str
    legs: int


async def raw_stream(mock: MockServer, document: dict[str, Any], **headers: str) -> bytes:
    named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
    body = {**document, "stream": True}
    async with mock.http.post(f"{mock.url}/v1/responses", json=body, headers=named) as reply:
        return await reply.read()


async def bill_of(mock: MockServer) -> list[Any]:
    return list(await mock.get("/mock/bill"))


async def test_an_answer_is_complete_and_billed_as_it_says(mock: MockServer) -> None:
    answer: Any = await mock.client.responses.create(**BODY, metadata={"a": "b"})
    assert answer.output_text
    assert (answer.status, answer.object, answer.metadata) == ("completed", "response", {"a": "b"})
    [line] = await bill_of(mock)
    assert line["complete"] is True
    assert line["input_tokens"] == answer.usage.input_tokens
    assert line["output_tokens"] == answer.usage.output_tokens
    again: Any = await mock.client.responses.create(**BODY, metadata={"a": "b"})
    assert again.output_text == answer.output_text
    assert again.id != answer.id


async def test_what_is_not_kept_is_a_function_of_the_request(mock: MockServer) -> None:
    first: Any = await mock.client.responses.create(**BODY, store=False)
    assert first == await mock.client.responses.create(**BODY, store=False)
    with pytest.raises(NotFoundError):
        await mock.client.responses.retrieve(first.id)


async def test_a_stream_is_its_twin(mock: MockServer) -> None:
    whole: Any = await mock.client.responses.create(**BODY)
    async with mock.client.responses.stream(**BODY) as stream:
        events: list[Any] = [event async for event in stream]
        final: Any = await stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert len(deltas) == whole.usage.output_tokens
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_reasoning_search_and_schema(mock: MockServer, is_streaming: bool) -> None:
    asked: dict[str, Any] = {
        **BODY,
        "model": "o3",
        "tools": [{"type": "web_search"}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "text_format": Bird,
    }
    if is_streaming:
        async with mock.client.responses.stream(**asked) as stream:
            kinds = {event.type async for event in stream}
            answer: Any = await stream.get_final_response()
        assert {
            "response.web_search_call.searching",
            "response.reasoning_summary_text.delta",
        } < kinds
    else:
        answer = await mock.client.responses.parse(**asked)
    assert [item.type for item in answer.output] == ["reasoning", "web_search_call", "message"]
    assert isinstance(answer.output_parsed, Bird)
    reasoning_tokens = answer.usage.output_tokens_details.reasoning_tokens
    assert 0 < reasoning_tokens < answer.usage.output_tokens
    [line] = await bill_of(mock)
    assert line["reasoning_tokens"] == reasoning_tokens


async def test_tools_are_called_and_their_output_continues(mock: MockServer) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "tools": [TOOL]}
    first: Any = await mock.client.responses.create(input="get_weather please", **asked)
    [call] = first.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    async with mock.client.responses.stream(input="get_weather please", **asked) as stream:
        streamed: Any = await stream.get_final_response()
    assert streamed.output[0].arguments == call.arguments
    assert streamed.usage == first.usage
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second: Any = await mock.client.responses.create(
        input=[output], previous_response_id=first.id, **asked
    )
    assert second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_what_is_kept_is_listed_continued_and_deleted(mock: MockServer) -> None:
    first: Any = await mock.client.responses.create(**BODY)
    assert await mock.client.responses.retrieve(first.id) == first
    second: Any = await mock.client.responses.create(
        model="gpt-4o", input="More.", previous_response_id=first.id
    )
    items: list[Any] = [
        item async for item in await mock.client.responses.input_items.list(second.id)
    ]
    assert [item.role for item in items] == ["user", "assistant", "user"]
    assert items[0].content[0].text == "More."
    reference: Any = [{"type": "item_reference", "id": first.output[0].id}]
    await mock.client.responses.create(
        model="gpt-4o", input=[*reference, {"role": "user", "content": "?"}]
    )
    await mock.client.responses.delete(first.id)
    for attempt in (
        mock.client.responses.retrieve(first.id),
        mock.client.responses.delete(first.id),
        mock.client.responses.create(**BODY, previous_response_id=first.id),
    ):
        with pytest.raises(NotFoundError):
            await attempt


async def test_one_key_never_sees_what_another_keeps(mock: MockServer) -> None:
    kept: Any = await mock.client.responses.create(**BODY)
    conversation = await mock.client.conversations.create()
    reference: Any = [{"type": "item_reference", "id": kept.output[0].id}]
    async with AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="sk-other", max_retries=0) as other:
        for attempt in (
            other.responses.retrieve(kept.id),
            other.responses.cancel(kept.id),
            other.responses.input_items.list(kept.id),
            other.responses.create(**BODY, previous_response_id=kept.id),
            other.responses.create(**BODY, conversation=conversation.id),
            other.responses.create(model="gpt-4o", input=reference),
            other.conversations.retrieve(conversation.id),
        ):
            with pytest.raises(NotFoundError):
                await attempt
    with pytest.raises(NotFoundError) as caught:
        await mock.client.responses.create(**BODY, previous_response_id="resp_of_nobody")
    assert caught.value.code == "previous_response_id_not_found"
    assert caught.value.param == "previous_response_id"


async def test_a_conversation_grows(mock: MockServer) -> None:
    conversation = await mock.client.conversations.create()
    assert (await mock.client.conversations.retrieve(conversation.id)).id == conversation.id
    first: Any = await mock.client.responses.create(**BODY, conversation=conversation.id)
    second: Any = await mock.client.responses.create(**BODY, conversation={"id": conversation.id})
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.conversation.id == conversation.id
    await mock.client.conversations.delete(conversation.id)
    with pytest.raises(NotFoundError):
        await mock.client.responses.create(**BODY, conversation=conversation.id)


async def test_a_background_response_completes_when_read_twice_and_is_billed_then(
    mock: MockServer,
) -> None:
    queued: Any = await mock.client.responses.create(**BACKGROUND)
    assert (queued.status, queued.output, queued.usage) == ("queued", [], None)
    assert await bill_of(mock) == []
    first: Any = await mock.client.responses.retrieve(queued.id)
    assert first.status == "in_progress"
    done: Any = await mock.client.responses.retrieve(queued.id)
    assert (done.status, bool(done.output_text)) == ("completed", True)
    assert await mock.client.responses.retrieve(queued.id) == done
    [line] = await bill_of(mock)
    assert line["output_tokens"] == done.usage.output_tokens


async def test_a_background_response_can_be_cancelled_and_costs_nothing(mock: MockServer) -> None:
    queued: Any = await mock.client.responses.create(**BACKGROUND)
    cancelled: Any = await mock.client.responses.cancel(queued.id)
    assert cancelled.status == "cancelled"
    for _ in range(3):
        assert (await mock.client.responses.retrieve(queued.id)).status == "cancelled"
    assert await bill_of(mock) == []
    plain: Any = await mock.client.responses.create(**BODY)
    with pytest.raises(BadRequestError):
        await mock.client.responses.cancel(plain.id)


async def test_a_background_stream_can_be_taken_up_again(mock: MockServer) -> None:
    stream: Any = await mock.client.responses.create(**BACKGROUND, stream=True)
    events: list[Any] = [event async for event in stream]
    assert events[0].type == "response.queued"
    name = events[0].response.id
    again: Any = await mock.client.responses.retrieve(name, stream=True, starting_after=4)
    assert [event async for event in again] == events[5:]
    assert len(await bill_of(mock)) == 1
    assert (await mock.client.responses.retrieve(name)).status == "completed"


async def test_input_is_counted_and_costs_nothing(mock: MockServer) -> None:
    counted = await mock.client.responses.input_tokens.count(**BODY)
    assert await bill_of(mock) == []
    answer: Any = await mock.client.responses.create(**BODY)
    assert counted.input_tokens == answer.usage.input_tokens


async def test_a_conversation_is_compacted_and_goes_on(mock: MockServer) -> None:
    first: Any = await mock.client.responses.create(**BODY)
    small: Any = await mock.client.responses.compact(
        model="gpt-4o", input="And more.", previous_response_id=first.id
    )
    assert [item.type for item in small.output] == ["message", "message", "compaction"]
    line = (await bill_of(mock))[-1]
    assert line["output_tokens"] == small.usage.output_tokens > 0
    items: Any = [item.model_dump(exclude_none=True, warnings=False) for item in small.output]
    after: Any = await mock.client.responses.create(model="gpt-4o", input=items)
    assert after.output_text


async def test_a_long_prompt_is_cached(mock: MockServer) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "input": "word " * 2000}
    await mock.client.responses.create(**asked)
    answer: Any = await mock.client.responses.create(**asked)
    cached_tokens = answer.usage.input_tokens_details.cached_tokens
    assert cached_tokens >= 1024
    assert [line["cache_read_tokens"] for line in await bill_of(mock)] == [0, cached_tokens]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input"),
        ({"temperature": 3}, "temperature"),
        ({"background": True, "store": False}, "background"),
        ({"previous_response_id": "a", "conversation": "b"}, "conversation"),
        ({"tools": [{}]}, "tools[0].type"),
    ],
)
async def test_bad_requests_are_refused(
    mock: MockServer, fields: dict[str, Any], param: str
) -> None:
    status, answer = await mock.post({**BODY, **fields}, "responses")
    assert status == 400, answer
    assert answer["error"]["param"] == param


async def test_limits_and_refusals(mock: MockServer) -> None:
    cut: Any = await mock.client.responses.create(**BODY, max_output_tokens=3)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.usage.output_tokens == 3
    events = await raw_stream(mock, {**BODY, "max_output_tokens": 3})
    assert b"event: response.incomplete\n" in events
    status, refused = await mock.post(BODY, "responses", refusal="1")
    assert status == 200
    assert Response.model_validate(refused).output[0].content[0].type == "refusal"  # type: ignore[union-attr,index]


async def test_faults_before_the_answer(mock: MockServer) -> None:
    with pytest.raises(RateLimitError):
        await mock.client.responses.create(**BODY, extra_headers={"x-mock-status": "429"})
    assert await bill_of(mock) == []


@pytest.mark.parametrize(
    ("headers", "is_done", "has_error"),
    [
        ({}, True, False),
        ({"garbage": "no-done"}, False, False),
        ({"garbage": "error-event"}, False, True),
        ({"garbage": "broken-json"}, True, False),
    ],
)
async def test_faults_inside_a_stream(
    mock: MockServer, headers: dict[str, str], is_done: bool, has_error: bool
) -> None:
    tap = ResponsesTap(keeps_bytes_limit=0)
    tap.feed(await raw_stream(mock, BODY, **headers))
    assert tap.is_done is is_done
    assert (tap.error is not None) is has_error
    [line] = await bill_of(mock)
    assert line["complete"] is (headers == {})


async def test_an_answer_without_usage(mock: MockServer) -> None:
    tap = ResponsesTap(keeps_bytes_limit=0)
    tap.feed(await raw_stream(mock, BODY, garbage="no-usage"))
    assert tap.is_done
    assert tap.usage is None
    _, whole = await mock.post(BODY, "responses", garbage="no-usage")
    assert whole["usage"] is None
    assert [line["output_tokens"] > 0 for line in await bill_of(mock)] == [True, True]


async def test_a_cut_stream_is_billed_as_far_as_it_went(mock: MockServer) -> None:
    headers = {"x-mock-cut-after-tokens": "3"}
    stream: Any = await mock.client.responses.create(**BODY, stream=True, extra_headers=headers)
    with pytest.raises(APIError):
        assert [event async for event in stream]
    [line] = await mock.bill_when(lambda lines: len(lines) == 1)
    assert (line["complete"], line["output_tokens"]) == (False, 3)


async def test_silence_lasts_until_the_caller_leaves(mock: MockServer) -> None:
    headers = {"x-mock-silence-after-tokens": "2"}
    stream: Any = await mock.client.responses.create(**BODY, stream=True, extra_headers=headers)
    seen = 0
    async with asyncio.timeout(DEADLINE_S):
        async for event in stream:
            seen += event.type == "response.output_text.delta"
            if seen == 2:
                break
    await stream.close()
    [line] = await mock.bill_when(lambda lines: len(lines) == 1)
    assert (line["complete"], line["output_tokens"]) == (False, 2)
