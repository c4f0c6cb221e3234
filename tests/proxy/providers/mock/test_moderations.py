"""The mock's moderations, as openai-python sees them."""

from typing import Any

import pytest
from openai import BadRequestError

from tests.proxy.providers.mock.server import MockServer

PARTS: Any = [
    {"type": "text", "text": "hello"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
]


async def test_named_category_is_flagged(mock: MockServer) -> None:
    answer = await mock.client.moderations.create(input=["a calm day", "pure Violence"])
    calm, violent = answer.results
    assert (calm.flagged, violent.flagged) == (False, True)
    assert violent.categories.violence
    assert not violent.categories.hate
    assert violent.category_scores.violence > 0.9 > calm.category_scores.violence
    assert answer.id.startswith("modr-")
    assert answer.model == "omni-moderation-latest"


async def test_parts_are_one_input(mock: MockServer) -> None:
    answer = await mock.client.moderations.create(
        model="omni-moderation-2024-09-26",
        input=PARTS,
    )
    (result,) = answer.results
    assert result.category_applied_input_types.violence == ["image", "text"]


async def test_moderation_is_free(mock: MockServer) -> None:
    await mock.client.moderations.create(input="hello")
    assert await mock.get("/mock/bill") == []


@pytest.mark.parametrize("value", [None, [], 5, [{"type": "video"}], [1]])
async def test_refusals(mock: MockServer, value: object) -> None:
    with pytest.raises(BadRequestError):
        await mock.client.moderations.create(input=value)  # type: ignore[arg-type]
