"""Embeddings of the mock as openai-python reads them."""

import math
from typing import Any

import pytest

from tests.proxy.providers.mock.server import MockServer

SMALL = "text-embedding-3-small"


async def test_client_default_is_base64_and_equals_floats(mock: MockServer) -> None:
    """The client asks for base64 when the caller says nothing (wire detail 32)."""
    packed = await mock.client.embeddings.create(model=SMALL, input=["heron", "owl"])
    plain = await mock.client.embeddings.create(
        model=SMALL, input=["heron", "owl"], encoding_format="float"
    )
    assert [len(item.embedding) for item in packed.data] == [1536, 1536]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)
        assert math.hypot(*one.embedding) == pytest.approx(1.0, abs=1e-5)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 2 + 1


async def test_dimensions_shorten_the_same_vector(mock: MockServer) -> None:
    whole = await mock.client.embeddings.create(model=SMALL, input="heron")
    short = await mock.client.embeddings.create(model=SMALL, input="heron", dimensions=8)
    head = whole.data[0].embedding[:8]
    scale = math.hypot(*head)
    assert short.data[0].embedding == pytest.approx([value / scale for value in head], abs=1e-5)


async def test_token_lists_and_the_bill(mock: MockServer) -> None:
    large = "text-embedding-3-large"
    answer = await mock.client.embeddings.create(model=large, input=[[1, 2, 3], [4]])
    assert len(answer.data[0].embedding) == 3072
    assert answer.usage.prompt_tokens == 4
    (line,) = await mock.get("/mock/bill")
    assert (line["input_tokens"], line["output_tokens"], line["complete"]) == (4, 0, True)
    assert line["cost_picousd"] == 4 * 130_000  # $0.13 per million tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [{"a": 1}]}, "input[0]"),
        ({"input": "a" * 40_000}, "input[0]"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 4000}, "dimensions"),
        ({"dimensions": 8, "model": "text-embedding-ada-002"}, "dimensions"),
    ],
)
async def test_malformed(mock: MockServer, fields: dict[str, Any], param: str) -> None:
    status, answer = await mock.post({"model": SMALL, "input": "a", **fields}, "embeddings")
    assert (status, answer["error"]["param"]) == (400, param)


async def test_faults_apply(mock: MockServer) -> None:
    body = {"model": SMALL, "input": "a"}
    assert (await mock.post(body, "embeddings", status="503"))[0] == 503
    assert "usage" not in (await mock.post(body, "embeddings", garbage="no-usage"))[1]
