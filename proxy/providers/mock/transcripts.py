"""Answers /v1/audio/transcriptions and translations, in every format. Added by routes.py.

A recording's length is taken from its size. whisper-1 is sold by the second, others by tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.providers.mock.buckets import Buckets, Charge
from proxy.providers.mock.errors import MockError, wrong_value
from proxy.providers.mock.event_stream import EventStream, typed_event
from proxy.providers.mock.exchange import Exchange, Handler, opened
from proxy.providers.mock.rendering import Event
from proxy.providers.mock.text import (
    count_tokens,
    digest_of,
    make_tokens,
    make_words,
    split_tokens,
)

BYTES_PER_SECOND = 16_000
TOKENS_PER_SECOND = 10
MAX_WORDS = 2000
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")


@dataclass(frozen=True, slots=True)
class _Transcript:
    """One checked recording with the words it is said to have."""

    task: str
    model: str
    form: str
    seconds: int
    prompt: str
    text: str
    is_streaming: bool

    @property
    def has_tokens(self) -> bool:
        return not self.model.startswith("whisper")

    def charge(self, tokens: int) -> Charge:
        if not self.has_tokens:
            return Charge(self.model, Buckets(), units={"seconds": self.seconds})
        buckets = Buckets(
            input_tokens=count_tokens(self.prompt),
            audio_input_tokens=self.seconds * TOKENS_PER_SECOND,
            output_tokens=tokens,
        )
        return Charge(self.model, buckets)

    def usage_document(self) -> dict[str, Any]:
        if not self.has_tokens:
            return {"type": "duration", "seconds": self.seconds}
        buckets = self.charge(count_tokens(self.text)).buckets
        return {
            "type": "tokens",
            "input_tokens": buckets.prompt_tokens(),
            "input_token_details": {
                "text_tokens": buckets.input_tokens,
                "audio_tokens": buckets.audio_input_tokens,
            },
            "output_tokens": buckets.output_tokens,
            "total_tokens": buckets.prompt_tokens() + buckets.output_tokens,
        }


def add_transcript_routes(app: web.Application) -> None:
    app.router.add_post("/v1/audio/transcriptions", _answering("transcribe"))
    app.router.add_post("/v1/audio/translations", _answering("translate"))


def _answering(task: str) -> Handler:
    async def answer(exchange: Exchange) -> web.StreamResponse:
        transcript = _read_transcript(exchange, task)
        if transcript.is_streaming:
            return await _stream(exchange, transcript)
        charge = transcript.charge(count_tokens(transcript.text))
        exchange.charge(transcript.model, charge.buckets, charge.units)
        return _answer_whole(exchange, transcript)

    return opened(answer)


def _read_transcript(exchange: Exchange, task: str) -> _Transcript:
    form = exchange.form()
    content = form.file("file").content
    if not content:
        raise MockError("The audio file is empty.", param="file", code="invalid_value")
    model = form.text("model")
    shape = form.text("response_format", "json")
    if shape not in FORMATS:
        raise wrong_value("response_format", f"expected one of {', '.join(FORMATS)}.")
    if not model.startswith("whisper") and shape not in {"json", "text"}:
        raise wrong_value("response_format", "this model only answers with 'json' or 'text'.")
    seconds = -(-len(content) // BYTES_PER_SECOND)
    return _Transcript(
        task=task,
        model=model,
        form=shape,
        seconds=seconds,
        prompt=form.text("prompt", ""),
        text=_words(exchange, digest_of(task.encode(), content), seconds),
        # whisper-1 ignores it, as OpenAI's reference says.
        is_streaming=form.flag("stream") and not model.startswith("whisper"),
    )


def _words(exchange: Exchange, seed: bytes, seconds: int) -> str:
    wanted = exchange.plan.output_tokens
    if wanted is not None:
        return make_tokens(seed, wanted)
    return make_words(seed, min(MAX_WORDS, 4 + 2 * seconds))


def _answer_whole(exchange: Exchange, transcript: _Transcript) -> web.Response:
    text, end = transcript.text, transcript.seconds
    match transcript.form:
        case "text":
            return exchange.content(f"{text}\n".encode(), "text/plain; charset=utf-8")
        case "srt":
            body = f"1\n00:00:00,000 --> {_time(end, ',')}\n{text}\n\n"
            return exchange.content(body.encode(), "text/plain; charset=utf-8")
        case "vtt":
            body = f"WEBVTT\n\n00:00:00.000 --> {_time(end, '.')}\n{text}\n\n"
            return exchange.content(body.encode(), "text/plain; charset=utf-8")
        case "verbose_json":
            return exchange.json(_verbose(transcript))
    return exchange.json({"text": text, "usage": transcript.usage_document()})


def _time(seconds: int, mark: str) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}000"


def _verbose(transcript: _Transcript) -> dict[str, Any]:
    segment = {
        "id": 0, "seek": 0, "start": 0.0, "end": float(transcript.seconds),
        "text": transcript.text, "tokens": [], "temperature": 0.0, "avg_logprob": -0.2,
        "compression_ratio": 1.2, "no_speech_prob": 0.01,
    }  # fmt: skip
    return {
        "task": transcript.task,
        "language": "english",
        "duration": float(transcript.seconds),
        "text": transcript.text,
        "segments": [segment],
        "usage": transcript.usage_document(),
    }


async def _stream(exchange: Exchange, transcript: _Transcript) -> web.StreamResponse:
    def charge(tokens: int, is_complete: bool) -> None:
        exchange.call.charge_for(transcript.charge(tokens), is_complete=is_complete)

    done: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if exchange.plan.garbage != "no-usage":
        done["usage"] = transcript.usage_document()
    events = _delta_events(transcript.text)
    return await EventStream(exchange, charge).send(events, typed_event(done).data)


def _delta_events(text: str) -> Iterator[Event]:
    for token in split_tokens(text):
        yield typed_event({"type": "transcript.text.delta", "delta": token}, tokens=1)
