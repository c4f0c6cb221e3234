"""Answers POST /v1/audio/speech: bytes in the shape of an audio file, or events.

tts-1 is sold by the character, the newer models by tokens, which only the event stream reports.
Added by routes.py.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from proxy.providers.mock.buckets import Buckets, Charge
from proxy.providers.mock.errors import MockError, missing, wrong_value
from proxy.providers.mock.event_stream import EventStream, typed_event
from proxy.providers.mock.exchange import Exchange, opened, read_text
from proxy.providers.mock.rendering import Event
from proxy.providers.mock.text import count_tokens
from proxy.providers.mock.validation import read_model

MAX_CHARACTERS = 4096
AUDIO_TOKENS_PER_TOKEN = 5
FRAME_BYTES = 417  # of an MPEG-1 layer III frame at 128 kbit/s and 44.1 kHz
# Format -> (content type, what a file or frame of it begins with).
_FORMATS = {
    "mp3": ("audio/mpeg", b"\xff\xfb\x90\x00"),
    "opus": ("audio/opus", b"OggS"),
    "aac": ("audio/aac", b"\xff\xf1\x50\x80"),
    "flac": ("audio/flac", b"fLaC"),
    "wav": ("audio/wav", b"RIFF"),
    "pcm": ("audio/pcm", b""),
}


@dataclass(frozen=True, slots=True)
class _Request:
    """One checked call; a frame of audio is made for every token of the text."""

    model: str
    text: str
    content_type: str
    magic: bytes
    is_events: bool
    seed: bytes

    @property
    def has_tokens(self) -> bool:
        return not self.model.startswith("tts-")

    def frames(self) -> Iterator[bytes]:
        for index in range(count_tokens(self.text)):
            frame_seed = self.seed + index.to_bytes(4, "little")
            noise = hashlib.shake_128(frame_seed).digest(FRAME_BYTES)
            # Every frame of an MP3 has its header; the other formats have one a file.
            magic = self.magic if index == 0 or self.content_type == "audio/mpeg" else b""
            yield magic + noise[len(magic) :]

    def charge(self, tokens: int) -> Charge:
        """Make the line for so many tokens of the text that became audio."""
        if not self.has_tokens:
            return Charge(self.model, Buckets(), units={"characters": len(self.text)})
        audio_tokens = tokens * AUDIO_TOKENS_PER_TOKEN
        input_tokens = count_tokens(self.text)
        return Charge(
            self.model, Buckets(input_tokens=input_tokens, audio_output_tokens=audio_tokens)
        )


def add_speech_routes(app: web.Application) -> None:
    app.router.add_post("/v1/audio/speech", answer_speech)


@opened
async def answer_speech(exchange: Exchange) -> web.StreamResponse:
    request = _read_request(exchange)

    def charge(tokens: int, is_complete: bool) -> None:
        exchange.call.charge_for(request.charge(tokens), is_complete=is_complete)

    if request.is_events:
        stream = EventStream(exchange, charge)
        return await stream.send(_delta_events(request), _done_event(request, exchange))
    stream = EventStream(exchange, charge, content_type=request.content_type)
    return await stream.send((Event(frame, 1) for frame in request.frames()), b"")


def _read_request(exchange: Exchange) -> _Request:
    document = exchange.document()
    model = read_model(document)
    text = read_text(document, "input")
    if not text:
        raise missing("input")
    if len(text) > MAX_CHARACTERS:
        raise wrong_value("input", f"expected at most {MAX_CHARACTERS} characters.")
    if not isinstance(document.get("voice"), str | dict):
        raise missing("voice")
    name = read_text(document, "response_format", "mp3") or "mp3"
    if name not in _FORMATS:
        raise wrong_value("response_format", f"expected one of {', '.join(_FORMATS)}.")
    stream_format = read_text(document, "stream_format", "audio")
    if stream_format not in {"audio", "sse"}:
        raise wrong_value("stream_format", "expected 'audio' or 'sse'.")
    request = _Request(model, text, *_FORMATS[name], stream_format == "sse", exchange.seed())
    if request.is_events and not request.has_tokens:
        message = "'sse' is not supported by this model."
        raise MockError(message, param="stream_format", code="unsupported_parameter")
    return request


def _delta_events(request: _Request) -> Iterator[Event]:
    for frame in request.frames():
        delta = {"type": "speech.audio.delta", "audio": base64.b64encode(frame).decode()}
        yield typed_event(delta, tokens=1)


def _done_event(request: _Request, exchange: Exchange) -> bytes:
    buckets = request.charge(count_tokens(request.text)).buckets
    document: dict[str, object] = {"type": "speech.audio.done"}
    if exchange.plan.garbage != "no-usage":
        document["usage"] = {
            "input_tokens": buckets.input_tokens,
            "output_tokens": buckets.audio_output_tokens,
            "total_tokens": buckets.input_tokens + buckets.audio_output_tokens,
        }
    return typed_event(document).data
