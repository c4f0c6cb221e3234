"""The mock's completions before chat, as openai-python sees them."""

from typing import Any

import pytest
from openai import APIConnectionError, BadRequestError

from proxy.providers.mock.text import count_tokens
from tests.proxy.providers.mock.server import MockServer

BODY: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time"}


async def test_stream_has_the_words_of_its_twin(mock: MockServer) -> None:
    whole = await mock.client.completions.create(**BODY, max_tokens=200)
    stream = await mock.client.completions.create(
        **BODY, max_tokens=200, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].text for chunk in chunks)
    assert text == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (last.choices, last.usage) == ([], whole.usage)
    assert last.usage is not None
    assert last.usage.completion_tokens == count_tokens(text)


async def test_both_forms_are_billed_alike(mock: MockServer) -> None:
    whole = await mock.client.completions.create(**BODY)
    async for _ in await mock.client.completions.create(**BODY, stream=True):
        pass
    first, second = await mock.get("/mock/bill")
    assert whole.usage is not None
    assert first["input_tokens"] == second["input_tokens"] == whole.usage.prompt_tokens == 4
    assert first["output_tokens"] == second["output_tokens"] == whole.usage.completion_tokens
    assert first["cost_picousd"] == 4 * 1_500_000 + first["output_tokens"] * 2_000_000
    assert first["complete"]
    assert second["complete"]


async def test_prompts_choices_and_limits(mock: MockServer) -> None:
    answer = await mock.client.completions.create(
        model="m", prompt=["one", "two"], n=2, max_tokens=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.text for choice in answer.choices}) == 4
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 12)


async def test_echo_puts_the_prompt_first(mock: MockServer) -> None:
    plain = await mock.client.completions.create(**BODY)
    echoed = await mock.client.completions.create(**BODY, echo=True)
    assert echoed.choices[0].text == "Once upon a time" + plain.choices[0].text
    stream = await mock.client.completions.create(**BODY, echo=True, stream=True)
    text = "".join([chunk.choices[0].text async for chunk in stream])
    assert text == echoed.choices[0].text


async def test_token_prompt_stop_and_logprobs(mock: MockServer) -> None:
    full = await mock.client.completions.create(model="m", prompt=[1, 2, 3], max_tokens=50)
    assert full.usage is not None
    assert full.usage.prompt_tokens == 3
    word = full.choices[0].text.split()[1]
    cut = await mock.client.completions.create(
        model="m", prompt=[1, 2, 3], max_tokens=50, stop=word, logprobs=1
    )
    assert word not in cut.choices[0].text
    logprobs = cut.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert "".join(logprobs.tokens) == cut.choices[0].text


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1.5]}, "prompt[0]"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream_options": {}}, "stream_options"),
        ({"prompt": ["a", "b"], "n": 65}, "n"),
    ],
)
async def test_refusals(mock: MockServer, change: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        await mock.client.completions.create(**{**BODY, **change})
    assert caught.value.param == param


async def test_cut_stream_is_billed_for_what_went_out(mock: MockServer) -> None:
    headers = {"x-mock-cut-after-tokens": "2", "x-mock-output-tokens": "9"}
    client = mock.client.with_options(default_headers=headers)
    stream = await client.completions.create(**BODY, stream=True)
    chunks = aiter(stream)
    assert [count_tokens((await anext(chunks)).choices[0].text) for _ in range(2)] == [1, 1]
    with pytest.raises(APIConnectionError):
        await anext(chunks)
    (line,) = await mock.bill_when(bool)
    assert (line["output_tokens"], line["complete"]) == (2, False)
