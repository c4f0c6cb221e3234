"""The mock's conversations, as openai-python sees them."""

from typing import Any

import pytest
from openai import NotFoundError

from tests.proxy.providers.mock.server import MockServer

HELLO: Any = {"type": "message", "role": "user", "content": "hello"}


async def test_life_of_a_conversation(mock: MockServer) -> None:
    conversations = mock.client.conversations
    made = await conversations.create(metadata={"topic": "birds"}, items=[HELLO])
    assert made.id.startswith("conv_")
    changed = await conversations.update(made.id, metadata={"topic": "fish"})
    assert changed.metadata == {"topic": "fish"}
    assert await conversations.retrieve(made.id) == changed
    deleted = await conversations.delete(made.id)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    with pytest.raises(NotFoundError):
        await conversations.items.create(made.id, items=[HELLO])


async def test_items(mock: MockServer) -> None:
    items = mock.client.conversations.items
    made = await mock.client.conversations.create(items=[HELLO])
    answer: Any = {"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
    (added,) = (await items.create(made.id, items=[answer])).data
    listed = [item async for item in items.list(made.id, order="asc")]
    assert [item.type for item in listed] == ["message", "message"]
    first, second = listed
    assert first.type == "message"
    assert first.content[0].type == "input_text"
    assert first.content[0].text == "hello"
    assert added.id == second.id
    assert (await items.retrieve(second.id or "", conversation_id=made.id)) == added
    assert (await items.delete(second.id or "", conversation_id=made.id)).id == made.id
    assert [item.id async for item in items.list(made.id)] == [first.id]


async def test_items_belong_to_their_conversation(mock: MockServer) -> None:
    made = await mock.client.conversations.create(items=[HELLO])
    other = await mock.client.conversations.create()
    (item,) = [item async for item in mock.client.conversations.items.list(made.id)]
    with pytest.raises(NotFoundError):
        await mock.client.conversations.items.retrieve(item.id or "", conversation_id=other.id)


@pytest.mark.parametrize("items", [5, [5], [{}], [HELLO] * 21, [{"role": 1}]])
async def test_hostile_items(mock: MockServer, items: object) -> None:
    status, _ = await mock.post({"items": items}, "conversations")
    assert status == 400
