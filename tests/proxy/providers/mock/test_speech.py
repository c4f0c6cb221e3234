"""The mock's speech, as openai-python sees it: bytes or events, by the character or by tokens."""

import base64

import orjson
import pytest
from openai import BadRequestError

from tests.proxy.providers.mock.server import MockServer

TEXT = "Herons stand still."  # 19 characters, 5 tokens


async def test_bytes_in_the_format_asked_for(mock: MockServer) -> None:
    speech = await mock.client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert speech.response.headers["content-type"] == "audio/mpeg"
    assert speech.content.startswith(b"\xff\xfb")
    assert len(speech.content) == 5 * 417
    wav = await mock.client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav"
    )
    assert wav.content.startswith(b"RIFF")
    first, _ = await mock.get("/mock/bill")
    assert (first["units"], first["cost_picousd"]) == ({"characters": 19}, None)
    assert first["complete"]


async def test_events_carry_the_bytes_and_the_usage(mock: MockServer) -> None:
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": TEXT}
    whole = await mock.client.audio.speech.create(**asked)  # type: ignore[arg-type]
    url = f"{mock.url}/v1/audio/speech"
    async with mock.http.post(url, json={**asked, "stream_format": "sse"}) as reply:
        assert reply.content_type == "text/event-stream"
        lines = (await reply.read()).splitlines()
    events = [orjson.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
    *deltas, done = events
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert len(audio) == len(whole.content)
    assert done["usage"] == {"input_tokens": 5, "output_tokens": 25, "total_tokens": 30}
    for line in await mock.get("/mock/bill"):
        assert (line["input_tokens"], line["audio_output_tokens"]) == (5, 25)
        assert "units" not in line


async def test_refusals(mock: MockServer) -> None:
    create = mock.client.audio.speech.create
    with pytest.raises(BadRequestError, match="input"):
        await create(model="tts-1", voice="alloy", input="")
    with pytest.raises(BadRequestError, match="4096"):
        await create(model="tts-1", voice="alloy", input="x" * 4097)
    with pytest.raises(BadRequestError, match="sse"):
        await create(model="tts-1", voice="alloy", input="x", stream_format="sse")
