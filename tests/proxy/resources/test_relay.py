"""Resource calls through the gateway, and two tenants on one shared credential.

The official client speaks to a real gateway before the mock provider, which keeps its objects by
API key: there, both tenants are one customer.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.proxy.mock_gateway import MockGateway, mock_gateway
from tests.proxy_gateway import API_KEY, OTHER_KEY


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockGateway]:
    async with mock_gateway(tmp_path) as running:
        yield running


@pytest.fixture
async def acme(mock: MockGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=mock.gateway.base_url, api_key=API_KEY, max_retries=0
    ) as made:
        yield made


@pytest.fixture
async def globex(mock: MockGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=mock.gateway.base_url, api_key=OTHER_KEY, max_retries=0
    ) as made:
        yield made


def request_lines(model: str = "gpt-4o-mini") -> bytes:
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}'
    line = '{"custom_id": "%d", "method": "POST", "url": "/v1/chat/completions", "body": %s}'
    return "\n".join(line % (number, body) for number in range(3)).encode()


async def make_file(client: openai.AsyncOpenAI, name: str = "a.jsonl") -> str:
    file = await client.files.create(file=(name, request_lines()), purpose="batch")
    return file.id


async def test_a_file_lives_and_dies_with_its_owner(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    file_id = await make_file(acme)
    assert (await acme.files.retrieve(file_id)).id == file_id
    assert (await acme.files.content(file_id)).content == request_lines()
    for call in (
        globex.files.retrieve(file_id),
        globex.files.content(file_id),
        globex.files.delete(file_id),
        globex.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        ),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            await call
        assert caught.value.code == "not_found"
    assert (await acme.files.delete(file_id)).deleted
    with pytest.raises(openai.NotFoundError):
        await acme.files.retrieve(file_id)
    ends = mock.gateway.ends()
    assert {end["endpoint"] for end in ends} == {"files", "batches"}
    assert {end["usage_source"] for end in ends} == {"none"}


async def test_lists_show_a_tenants_own_objects_page_by_page(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI
) -> None:
    mine, theirs = [], []
    for number in range(7):
        mine.append(await make_file(acme, f"{number}.jsonl"))
        theirs += [await make_file(globex) for _ in range(2)]
    found = [file.id async for file in acme.files.list(limit=3)]
    assert sorted(found) == sorted(mine)
    assert sorted([file.id async for file in globex.files.list()]) == sorted(theirs)
    page = await acme.files.list(limit=3)
    assert page.has_more
    assert len(page.data) == 3
    with pytest.raises(openai.NotFoundError):
        await acme.files.list(after=theirs[0])


async def test_a_batch_is_counted_once_when_its_owner_sees_it_done(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    file_id = await make_file(acme)
    batch = await acme.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    with pytest.raises(openai.NotFoundError):
        await globex.batches.retrieve(batch.id)
    for _ in range(4):
        batch = await acme.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id is not None
    assert len((await acme.files.content(batch.output_file_id)).content.splitlines()) == 3
    with pytest.raises(openai.NotFoundError):
        await globex.files.content(batch.output_file_id)
    assert [each.id async for each in acme.batches.list()] == [batch.id]
    assert [each.id async for each in globex.batches.list()] == []
    counted = [end for end in mock.gateway.ends() if end["usage_source"] == "provider"]
    (line,) = await mock.bill()
    (end,) = counted
    assert (end["served_tier"], end["served_model"]) == ("batch", "gpt-4o-mini")
    assert (end["input_tokens"], end["output_tokens"]) == (
        line["input_tokens"],
        line["output_tokens"],
    )
    assert line["id"] == f"{end['request_id']}.{end['attempt']}"


async def test_vector_stores_and_their_files_stay_apart(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI
) -> None:
    file_id = await make_file(acme)
    store = await acme.vector_stores.create(name="mine", file_ids=[file_id])
    await acme.vector_stores.files.create(store.id, file_id=file_id)
    assert [each.id async for each in acme.vector_stores.list()] == [store.id]
    assert [each.id async for each in globex.vector_stores.list()] == []
    theirs = await globex.vector_stores.create(name="theirs")
    for call in (
        globex.vector_stores.retrieve(store.id),
        globex.vector_stores.update(store.id, name="stolen"),
        globex.vector_stores.delete(store.id),
        globex.vector_stores.files.list(store.id),
        globex.vector_stores.search(store.id, query="hello"),
        globex.vector_stores.files.create(theirs.id, file_id=file_id),
        globex.vector_stores.create(file_ids=[file_id]),
    ):
        with pytest.raises(openai.NotFoundError):
            await call


async def test_a_kept_response_is_its_owners_alone(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    first = await acme.responses.create(model="gpt-4o-mini", input="My name is Ada.")
    follow_up = {"model": "gpt-4o-mini", "input": "Who am I?", "previous_response_id": first.id}
    second = await acme.responses.create(**follow_up)  # type: ignore[call-overload]
    assert second.previous_response_id == first.id
    assert (await acme.responses.retrieve(first.id)).id == first.id
    naming_an_item: Any = [{"type": "item_reference", "id": first.output[0].id}]
    for call in (
        globex.responses.retrieve(first.id),
        globex.responses.delete(first.id),
        globex.responses.cancel(first.id),
        globex.responses.create(**follow_up),  # type: ignore[call-overload]
        globex.responses.create(model="gpt-4o-mini", input=naming_an_item),
    ):
        with pytest.raises(openai.NotFoundError):
            await call
    with pytest.raises(openai.NotFoundError):
        await globex.responses.input_items.list(first.id)
    await acme.responses.delete(first.id)
    used = [end for end in mock.gateway.ends() if end["usage_source"] == "provider"]
    assert len(used) == len(await mock.bill()) == 2  # looking at a response costs nothing


async def test_a_streamed_response_is_owned_before_its_first_byte(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI
) -> None:
    stream = await acme.responses.create(model="gpt-4o-mini", input="hello", stream=True)
    kinds: list[str] = []
    async for event in stream:
        kinds.append(event.type)
        if event.type == "response.created":
            assert (await acme.responses.retrieve(event.response.id)).id == event.response.id
            with pytest.raises(openai.NotFoundError):
                await globex.responses.retrieve(event.response.id)
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


async def test_a_background_response_is_counted_when_it_is_done(
    acme: openai.AsyncOpenAI, globex: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    begun = await acme.responses.create(model="gpt-4o-mini", input="hello", background=True)
    assert begun.status in {"queued", "in_progress"}
    with pytest.raises(openai.NotFoundError):
        await globex.responses.retrieve(begun.id)
    async with asyncio.timeout(10):
        while (await acme.responses.retrieve(begun.id)).status != "completed":
            await asyncio.sleep(0.01)
    await acme.responses.retrieve(begun.id)
    sources = [end["usage_source"] for end in mock.gateway.ends()]
    assert sources.count("provider") == 1
    assert sources.count("deferred") == 1
    (line,) = await mock.bill()
    (counted,) = [end for end in mock.gateway.ends() if end["usage_source"] == "provider"]
    assert counted["output_tokens"] == line["output_tokens"] > 0


async def test_images_and_audio_pass_in_both_directions(
    acme: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    image = await acme.images.generate(model="gpt-image-1", prompt="a heron")
    assert image.data
    assert image.data[0].b64_json
    speech = await acme.audio.speech.create(model="tts-1", voice="alloy", input="hello there")
    assert speech.content
    spoken = io.BytesIO(b"\0" * 32_000)
    spoken.name = "a.wav"
    heard: Any = await acme.audio.transcriptions.create(model="gpt-4o-transcribe", file=spoken)
    assert heard.text
    await acme.moderations.create(input="hello")
    ends = {end["endpoint"]: end for end in mock.gateway.ends()}
    assert ends["images"]["usage_source"] == "provider"
    assert ends["images"]["requested_model"] == "gpt-image-1"
    assert ends["moderations"]["usage_source"] == "none"
    speech_end, heard_end = (e for e in mock.gateway.ends() if e["endpoint"] == "audio")
    assert speech_end["units"] == {"characters": 11}
    assert heard_end["requested_model"] == "gpt-4o-transcribe"
    assert heard_end["usage_source"] == "provider"


async def test_a_forms_model_is_routed_and_renamed(mock: MockGateway) -> None:
    """The public name is another than the upstream's: the form is rewritten in its first bytes."""
    data = aiohttp.FormData()
    data.add_field("file", b"\0" * 500_000, filename="a.wav", content_type="audio/wav")
    data.add_field("model", "whisper")
    url = f"{mock.gateway.base_url}/audio/transcriptions"
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with mock.http.post(url, data=data, headers=headers) as reply:
        assert reply.status == 200
    assert [line["model"] for line in await mock.bill()] == ["gpt-4o-transcribe"]
    (end,) = mock.gateway.ends()
    assert (end["requested_model"], end["upstream_model"]) == ("whisper", "gpt-4o-transcribe")


async def test_what_opens_the_operators_account_is_not_served(acme: openai.AsyncOpenAI) -> None:
    for path in ("organization/projects", "realtime/client_secrets", "files/..%2fmodels"):
        with pytest.raises(openai.NotFoundError) as caught:
            await acme.get(f"/{path}", cast_to=object)
        assert caught.value.code == "unknown_route"


async def test_an_upstreams_error_keeps_its_status_and_shape(
    acme: openai.AsyncOpenAI, mock: MockGateway
) -> None:
    with pytest.raises(openai.InternalServerError):
        await acme.files.list(extra_headers={"x-mock-status": "500"})
    with pytest.raises(openai.RateLimitError):
        await acme.moderations.create(input="x", extra_headers={"x-mock-retry-after": "7"})
    with pytest.raises(openai.AuthenticationError):
        await openai.AsyncOpenAI(
            base_url=mock.gateway.base_url, api_key="k" * 40, max_retries=0
        ).files.list()
