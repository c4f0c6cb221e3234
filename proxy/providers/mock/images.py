"""Answers /v1/images: generations, edits and variations, whole or as partial images.

Models of the gpt-image family report tokens; the others are sold by the picture.
Added by routes.py.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.providers.mock.buckets import Buckets, Charge
from proxy.providers.mock.errors import MockError, missing, wrong_value
from proxy.providers.mock.event_stream import EventStream, typed_event
from proxy.providers.mock.exchange import Exchange, opened, read_text
from proxy.providers.mock.pictures import draw_png
from proxy.providers.mock.rendering import Event
from proxy.providers.mock.text import count_tokens, digest_of
from proxy.providers.mock.validation import Field, check_fields

USUAL_MODEL = "dall-e-2"
MAX_PICTURES = 10
INPUT_IMAGE_TOKENS = 194
_CREATED = 1_700_000_000
# Output tokens of one square picture by quality, as OpenAI's guide lists them for gpt-image-1.
_QUALITY_TOKENS = {"low": 272, "medium": 1056, "high": 4160, "auto": 1056}
_FIELDS = (
    Field("n", (int,), "an integer", 1, MAX_PICTURES),
    Field("stream", (bool,), "a boolean"),
    Field("partial_images", (int,), "an integer", 0, 3),
)


@dataclass(frozen=True, slots=True)
class _Request:
    """One checked call: `name` begins its events, `sources` are the pictures it came with."""

    name: str
    model: str
    prompt: str
    count: int
    quality: str
    size: str
    is_base64: bool
    is_streaming: bool
    partials: int
    sources: int
    seed: bytes

    @property
    def has_tokens(self) -> bool:
        return self.model.startswith(("gpt-image", "chatgpt-image"))

    def buckets(self) -> Buckets:
        if not self.has_tokens:
            return Buckets()
        return Buckets(
            input_tokens=count_tokens(self.prompt),
            image_input_tokens=self.sources * INPUT_IMAGE_TOKENS,
            image_output_tokens=self.count * _QUALITY_TOKENS[self.quality],
        )

    def units(self) -> dict[str, float] | None:
        return None if self.has_tokens else {"images": self.count}

    def charge(self, buckets: Buckets) -> Charge:
        return Charge(self.model, buckets, units=self.units())


def add_image_routes(app: web.Application) -> None:
    app.router.add_post("/v1/images/generations", generate_images)
    app.router.add_post("/v1/images/edits", edit_images)
    app.router.add_post("/v1/images/variations", vary_image)
    app.router.add_get(r"/mock/pictures/{seed:[0-9a-f]{32}}.png", show_picture)


async def show_picture(http: web.Request) -> web.Response:
    """Serve what the `url` of an answer leads to; without a key, as the real ones."""
    picture = draw_png(bytes.fromhex(http.match_info["seed"]))
    return web.Response(body=picture, content_type="image/png")


@opened
async def generate_images(exchange: Exchange) -> web.StreamResponse:
    document = exchange.document()
    if not read_text(document, "prompt"):
        raise missing("prompt")
    return await _answer(exchange, _read_request("image_generation", document, exchange, 0))


@opened
async def edit_images(exchange: Exchange) -> web.StreamResponse:
    if exchange.http.content_type.endswith("json"):
        document = exchange.document()
        images = document.get("images")
        if not isinstance(images, list) or not images:
            raise missing("images")
        sources = len(images)
    else:
        document, sources = _read_form(exchange)
    if not read_text(document, "prompt"):
        raise missing("prompt")
    return await _answer(exchange, _read_request("image_edit", document, exchange, sources))


@opened
async def vary_image(exchange: Exchange) -> web.StreamResponse:
    document, sources = _read_form(exchange)
    return await _answer(exchange, _read_request("image_variation", document, exchange, sources))


def _read_form(exchange: Exchange) -> tuple[dict[str, Any], int]:
    """Return the form's fields as the JSON body would have them, and how many pictures came."""
    form = exchange.form()
    form.file("image")
    document: dict[str, Any] = {name: values[0] for name, values in form.fields.items()}
    document["n"] = form.count("n", 1, MAX_PICTURES)
    document["stream"] = form.flag("stream")
    if "partial_images" in document:
        document["partial_images"] = form.count("partial_images", 1, 3)
    return document, len(form.all_files("image")) + len(form.all_files("mask"))


def _read_request(
    name: str, document: dict[str, Any], exchange: Exchange, sources: int
) -> _Request:
    check_fields(document, _FIELDS)
    model = read_text(document, "model", USUAL_MODEL) or USUAL_MODEL
    quality = read_text(document, "quality", "auto") or "auto"
    form = read_text(document, "response_format", "url")
    if form not in {"url", "b64_json"}:
        raise wrong_value("response_format", "expected 'url' or 'b64_json'.")
    request = _Request(
        name=name,
        model=model,
        prompt=read_text(document, "prompt", "") or "",
        count=document.get("n") or 1,
        quality=quality,
        size=read_text(document, "size", "1024x1024") or "1024x1024",
        is_base64=form == "b64_json" or model.startswith(("gpt-image", "chatgpt-image")),
        is_streaming=document.get("stream") is True,
        partials=document.get("partial_images") or 0,
        sources=sources,
        seed=exchange.seed(),
    )
    _check_together(request)
    return request


def _check_together(request: _Request) -> None:
    if request.has_tokens and request.quality not in _QUALITY_TOKENS:
        raise wrong_value("quality", f"expected one of {', '.join(_QUALITY_TOKENS)}.")
    if request.is_streaming and not request.has_tokens:
        message = "Streaming is only supported by the gpt-image models."
        raise MockError(message, param="stream", code="unsupported_parameter")
    if request.is_streaming and request.count > 1:
        raise wrong_value("n", "only one picture can be streamed.")


async def _answer(exchange: Exchange, request: _Request) -> web.StreamResponse:
    if request.is_streaming:
        return await _stream(exchange, request)
    document: dict[str, Any] = {
        "created": _CREATED,
        "data": [_picture(exchange, request, index) for index in range(request.count)],
    }
    if request.has_tokens:
        document |= {"usage": _usage_document(request), **_looks(request)}
    exchange.charge(request.model, request.buckets(), request.units())
    return exchange.json(document)


def _picture(exchange: Exchange, request: _Request, index: int) -> dict[str, Any]:
    seed = digest_of(request.seed, index.to_bytes(2, "little"))
    if request.is_base64:
        return {"b64_json": _base64(seed)}
    url = f"{exchange.http.url.origin()}/mock/pictures/{seed.hex()}.png"
    return {"url": url, "revised_prompt": request.prompt}


def _base64(seed: bytes) -> str:
    return base64.b64encode(draw_png(seed)).decode()


def _looks(request: _Request) -> dict[str, str]:
    quality = "medium" if request.quality == "auto" else request.quality
    size = "1024x1024" if request.size == "auto" else request.size
    return {"background": "opaque", "output_format": "png", "quality": quality, "size": size}


def _usage_document(request: _Request) -> dict[str, Any]:
    buckets = request.buckets()
    return {
        "input_tokens": buckets.prompt_tokens(),
        "input_tokens_details": {
            "text_tokens": buckets.input_tokens,
            "image_tokens": buckets.image_input_tokens,
        },
        "output_tokens": buckets.image_output_tokens,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": buckets.image_output_tokens},
        "total_tokens": buckets.prompt_tokens() + buckets.image_output_tokens,
    }


async def _stream(exchange: Exchange, request: _Request) -> web.StreamResponse:
    def charge(_: int, is_complete: bool) -> None:
        # A picture is made whole before its last event: who leaves early pays for it all the same.
        line = request.charge(request.buckets())
        exchange.call.charge_for(line, is_complete=is_complete)

    completed: dict[str, Any] = {
        "type": f"{request.name}.completed",
        "b64_json": _base64(digest_of(request.seed, b"\x00\x00")),
        "created_at": _CREATED,
        **_looks(request),
    }
    if exchange.plan.garbage != "no-usage":
        completed["usage"] = _usage_document(request)
    return await EventStream(exchange, charge).send(
        _partial_events(request), typed_event(completed).data
    )


def _partial_events(request: _Request) -> Iterator[Event]:
    for index in range(request.partials):
        partial = {
            "type": f"{request.name}.partial_image",
            "b64_json": _base64(digest_of(request.seed, b"partial", index.to_bytes(2, "little"))),
            "partial_image_index": index,
            "created_at": _CREATED,
            **_looks(request),
        }
        yield typed_event(partial, tokens=1)
