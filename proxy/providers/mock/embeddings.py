"""Composes embeddings: pure, unit vectors drawn from each input's digest. Called by app.py."""

import base64
import hashlib
import math
import sys
from array import array
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.errors import MockError, missing, wrong_type, wrong_value
from proxy.providers.mock.text import count_tokens
from proxy.providers.mock.validation import (
    EMBEDDING_FIELDS,
    check_fields,
    parse_body,
    read_model,
)

MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_USUAL_DIMENSIONS = 1536


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A checked request; an input is a text or a list of token numbers."""

    model: str
    inputs: list[str | list[int]]
    dimensions: int
    is_base64: bool

    def count_tokens(self) -> int:
        return sum(_input_tokens(item) for item in self.inputs)


def read_embedding_request(body: bytes) -> EmbeddingRequest:
    document = parse_body(body)
    model = read_model(document)
    check_fields(document, EMBEDDING_FIELDS)
    encoding = document.get("encoding_format") or "float"
    if encoding not in {"float", "base64"}:
        raise wrong_value("encoding_format", "expected 'float' or 'base64'.")
    dimensions = _read_dimensions(model, document.get("dimensions"))
    return EmbeddingRequest(model, _read_inputs(document), dimensions, encoding == "base64")


def _read_dimensions(model: str, wanted: int | None) -> int:
    full = _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
    if wanted is None:
        return full
    if model == "text-embedding-ada-002":
        raise MockError("This model has a fixed number of dimensions.", param="dimensions")
    if wanted > full:
        raise wrong_value("dimensions", f"expected a value <= {full}, but got {wanted}.")
    return wanted


def _read_inputs(document: dict[str, Any]) -> list[str | list[int]]:
    value = document.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str) or _is_token_list(value):
        value = [value]
    if not isinstance(value, list) or not value or len(value) > MAX_INPUTS:
        raise wrong_value("input", f"expected a text or an array of 1 to {MAX_INPUTS} inputs.")
    for index, item in enumerate(value):
        _check_input(f"input[{index}]", item)
    return value


def _check_input(where: str, item: Any) -> None:
    if not isinstance(item, str) and not _is_token_list(item):
        raise wrong_type(where, "a string or an array of integers", item)
    if not item:
        raise wrong_value(where, "an input cannot be empty.")
    if _input_tokens(item) > MAX_INPUT_TOKENS:
        raise wrong_value(where, f"an input may have {MAX_INPUT_TOKENS} tokens at most.")


def _is_token_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _input_tokens(item: str | list[int]) -> int:
    return count_tokens(item) if isinstance(item, str) else len(item)


def make_vector(item: str | list[int], model: str, dimensions: int) -> "array[float]":
    """Make the input's unit vector; a shorter one is the longer one's beginning, rescaled."""
    text = item if isinstance(item, str) else orjson.dumps(item).decode()
    seed = f"{model}\n{text}".encode("utf-8", "surrogatepass")
    numbers = array("h", hashlib.shake_128(seed).digest(2 * dimensions))
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return array("f", [number / length for number in numbers])


def embedding_document(request: EmbeddingRequest) -> dict[str, Any]:
    tokens = request.count_tokens()
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(item, request)}
        for index, item in enumerate(request.inputs)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _encode(item: str | list[int], request: EmbeddingRequest) -> str | list[float]:
    vector = make_vector(item, request.model, request.dimensions)
    if not request.is_base64:
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()  # the wire is little-endian
    return base64.b64encode(vector.tobytes()).decode()
