"""The mock's images, as openai-python sees them: by tokens, by the picture, streamed, edited."""

import base64
import io

import pytest
from openai import BadRequestError

from proxy.providers.mock.pictures import draw_png
from tests.proxy.providers.mock.server import MockServer

PICTURE = draw_png(b"source")


def source() -> io.BytesIO:
    file = io.BytesIO(PICTURE)
    file.name = "source.png"
    return file


async def test_tokens_of_the_newer_models(mock: MockServer) -> None:
    answer = await mock.client.images.generate(
        model="gpt-image-1", prompt="a heron", n=2, quality="low"
    )
    assert answer.data is not None
    pictures = [base64.b64decode(image.b64_json or "") for image in answer.data]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert len(set(pictures)) == 2
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 544)
    assert answer.usage.input_tokens_details.text_tokens == 2
    (line,) = await mock.get("/mock/bill")
    assert (line["input_tokens"], line["image_output_tokens"], line["output_tokens"]) == (2, 544, 0)


async def test_older_models_are_sold_by_the_picture(mock: MockServer) -> None:
    answer = await mock.client.images.generate(model="dall-e-3", prompt="a heron", n=2)
    assert answer.data is not None
    assert answer.usage is None
    async with mock.http.get(answer.data[0].url or "") as reply:
        assert (await reply.read()).startswith(b"\x89PNG")
    (line,) = await mock.get("/mock/bill")
    assert (line["units"], line["cost_picousd"]) == ({"images": 2}, None)


async def test_stream_of_partial_images(mock: MockServer) -> None:
    stream = await mock.client.images.generate(
        model="gpt-image-1", prompt="a heron", stream=True, partial_images=2
    )
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    last = events[-1]
    assert last.type == "image_generation.completed"
    (line,) = await mock.get("/mock/bill")
    assert line["image_output_tokens"] == last.usage.output_tokens
    assert line["complete"]


async def test_edit_counts_its_sources(mock: MockServer) -> None:
    answer = await mock.client.images.edit(
        model="gpt-image-1", image=[source(), source()], prompt="bluer", n=1
    )
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2 * 194
    (line,) = await mock.get("/mock/bill")
    assert line["image_input_tokens"] == 2 * 194


async def test_streamed_edit(mock: MockServer) -> None:
    stream = await mock.client.images.edit(
        model="gpt-image-1", image=source(), prompt="bluer", stream=True, partial_images=1
    )
    kinds = [event.type async for event in stream]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]


async def test_variation(mock: MockServer) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = await mock.client.images.create_variation(
            image=source(), n=3, response_format="b64_json"
        )
    assert answer.data is not None
    assert len({image.b64_json for image in answer.data}) == 3
    (line,) = await mock.get("/mock/bill")
    assert (line["model"], line["units"]) == ("dall-e-2", {"images": 3})


async def test_refusals(mock: MockServer) -> None:
    create = mock.client.images.generate
    with pytest.raises(BadRequestError, match="prompt"):
        await create(model="gpt-image-1", prompt="")
    with pytest.raises(BadRequestError, match="quality"):
        await create(model="gpt-image-1", prompt="x", quality="hd")
    with pytest.raises(BadRequestError, match="Streaming"):
        await create(model="dall-e-3", prompt="x", stream=True)
    status, answer = await mock.post({"prompt": "x"}, "images/edits")
    assert (status, answer["error"]["param"]) == (400, "images")
