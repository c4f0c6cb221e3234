"""Answers POST /v1/moderations: flags an input that names a category. Free. Added by routes.py."""

from typing import Any

from aiohttp import web

from proxy.providers.mock.errors import missing, wrong_type, wrong_value
from proxy.providers.mock.exchange import Exchange, opened, read_text
from proxy.providers.mock.text import digest_of

USUAL_MODEL = "omni-moderation-latest"
MAX_INPUTS = 2048
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/intent", "self-harm/instructions", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


def add_moderation_routes(app: web.Application) -> None:
    app.router.add_post("/v1/moderations", answer_moderation)


@opened
async def answer_moderation(exchange: Exchange) -> web.StreamResponse:
    document = exchange.document()
    results = [_result(item) for item in _read_inputs(document)]
    return exchange.json({
        "id": f"modr-{exchange.seed().hex()}",
        "model": read_text(document, "model", USUAL_MODEL),
        "results": results,
    })  # fmt: skip


def _read_inputs(document: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """Return every input as (type, text) parts; a list of parts is one input."""
    value = document.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_INPUTS:
        raise wrong_value("input", f"expected a text or an array of 1 to {MAX_INPUTS} inputs.")
    if all(isinstance(item, str) for item in value):
        return [[("text", item)] for item in value]
    return [[_read_part(index, item) for index, item in enumerate(value)]]


def _read_part(index: int, item: Any) -> tuple[str, str]:
    where = f"input[{index}]"
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    match item.get("type"):
        case "text":
            return "text", str(item.get("text", ""))
        case "image_url":
            return "image", ""
        case _:
            raise wrong_value(f"{where}.type", "expected 'text' or 'image_url'.")


def _result(parts: list[tuple[str, str]]) -> dict[str, Any]:
    text = " ".join(text for _, text in parts).lower()
    types = sorted({kind for kind, _ in parts})
    flags = {name: name in text for name in CATEGORIES}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": {name: _score(text, name, flags[name]) for name in CATEGORIES},
        "category_applied_input_types": dict.fromkeys(CATEGORIES, types),
    }


def _score(text: str, name: str, is_flagged: bool) -> float:
    noise = digest_of(text.encode("utf-8", "surrogatepass"), name.encode())[0] / 10_000
    return 0.95 + noise if is_flagged else noise
