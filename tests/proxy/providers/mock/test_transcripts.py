"""The mock's transcriptions, as openai-python sees them: every format, by second or by token."""

import re

import pytest
from openai import BadRequestError

from tests.proxy.providers.mock.server import MockServer

FILE = ("talk.mp3", b"\xff\xfb\x90\x00" + b"\r\n--x\r\n" * 5000)  # 35,004 bytes: 3 seconds


async def test_tokens(mock: MockServer) -> None:
    answer = await mock.client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=FILE, prompt="birds"
    )
    usage = answer.usage
    assert usage is not None
    assert usage.type == "tokens"
    assert (usage.input_tokens, usage.total_tokens) == (32, 32 + usage.output_tokens)
    assert usage.input_token_details is not None
    assert usage.input_token_details.audio_tokens == 30
    (line,) = await mock.get("/mock/bill")
    assert (line["input_tokens"], line["audio_input_tokens"]) == (2, 30)
    assert line["output_tokens"] == usage.output_tokens


async def test_seconds(mock: MockServer) -> None:
    answer = await mock.client.audio.transcriptions.create(model="whisper-1", file=FILE)
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == 3
    (line,) = await mock.get("/mock/bill")
    assert (line["units"], line["cost_picousd"]) == ({"seconds": 3}, None)


async def test_every_format_has_the_same_words(mock: MockServer) -> None:
    create = mock.client.audio.transcriptions.create
    plain = (await create(model="whisper-1", file=FILE)).text
    assert await create(model="whisper-1", file=FILE, response_format="text") == f"{plain}\n"
    srt = await create(model="whisper-1", file=FILE, response_format="srt")
    assert re.match(r"1\n00:00:00,000 --> 00:00:03,000\n", srt)
    assert plain in srt
    vtt = await create(model="whisper-1", file=FILE, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n")
    verbose = await create(model="whisper-1", file=FILE, response_format="verbose_json")
    assert (verbose.duration, verbose.text) == (3.0, plain)
    assert verbose.segments is not None
    assert verbose.segments[0].text == plain


async def test_stream(mock: MockServer) -> None:
    stream = await mock.client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=FILE, stream=True
    )
    *deltas, done = [event async for event in stream]
    text = "".join(event.delta for event in deltas if event.type == "transcript.text.delta")
    assert done.type == "transcript.text.done"
    assert done.text == text
    assert done.usage is not None
    (line,) = await mock.get("/mock/bill")
    assert line["output_tokens"] == done.usage.output_tokens == len(deltas)
    assert line["complete"]


async def test_translation(mock: MockServer) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = await mock.client.audio.translations.create(model="whisper-1", file=FILE)
    twin = await mock.client.audio.transcriptions.create(model="whisper-1", file=FILE)
    assert answer.text != twin.text


async def test_refusals(mock: MockServer) -> None:
    create = mock.client.audio.transcriptions.create
    with pytest.raises(BadRequestError, match="empty"):
        await create(model="whisper-1", file=("talk.mp3", b""))
    with pytest.raises(BadRequestError, match="response_format"):
        await create(model="gpt-4o-transcribe", file=FILE, response_format="srt")
    status, answer = await mock.post({"model": "whisper-1"}, "audio/transcriptions")
    assert (status, answer["error"]["code"]) == (400, "invalid_multipart")
