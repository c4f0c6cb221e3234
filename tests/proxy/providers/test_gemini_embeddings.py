"""Embeddings on batchEmbedContents: requests, both encodings, unknown usage, what is refused."""

import base64
import struct
from typing import Any

import pytest

from proxy.providers.gemini_embeddings import embeddings_answer, embeddings_request
from proxy.providers.translation import UntranslatableError

VECTORS = {"embeddings": [{"values": [0.5, -0.25]}, {"values": [1, 0]}]}
ASKED = {"model": "gemini-embedding-001", "input": ["a", "b"]}


def test_request_of_several_texts() -> None:
    doc = {**ASKED, "dimensions": 768, "encoding_format": "base64", "user": "u"}
    assert embeddings_request(doc) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "outputDimensionality": 768,
                "content": {"parts": [{"text": text}]},
            }
            for text in ("a", "b")
        ]
    }


def test_request_of_one_text() -> None:
    (request,) = embeddings_request({"model": "models/m", "input": "a"})["requests"]
    assert request == {"model": "models/m", "content": {"parts": [{"text": "a"}]}}


@pytest.mark.parametrize("value", [[1, 2], [[1, 2]], ["a", [1]], [], None, {"a": 1}])
def test_only_texts(value: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        embeddings_request({"model": "m", "input": value})
    assert caught.value.param == "input"


def test_answer_without_counts_has_no_usage() -> None:
    answer = embeddings_answer(VECTORS, ASKED)
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
            {"object": "embedding", "index": 1, "embedding": [1, 0]},
        ],
        "model": "gemini-embedding-001",
    }


def test_answer_in_base64_with_counts() -> None:
    counted = {**VECTORS, "usageMetadata": {"promptTokenCount": 2}}
    answer = embeddings_answer(counted, {**ASKED, "encoding_format": "base64"})
    first = base64.b64decode(answer["data"][0]["embedding"])
    assert struct.unpack("<2f", first) == (0.5, -0.25)
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


@pytest.mark.parametrize(
    "document",
    [{}, {"embeddings": []}, {"embeddings": [{"values": [1]}]}, {"embeddings": [{}, {}]},
     {"embeddings": [None, None]}, {"embeddings": [{"values": ["x"]}, {"values": [1]}]}],
)  # fmt: skip
def test_what_is_no_answer(document: Any) -> None:
    with pytest.raises(ValueError, match="Gemini's answer"):
        embeddings_answer(document, {**ASKED, "encoding_format": "base64"})
