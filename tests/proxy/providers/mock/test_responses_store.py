"""What the mock keeps: bounded, the oldest leave, and each key sees its own alone."""

import pytest

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.responses_store import ResponseStore, Shelf, conversation_id


def test_a_shelf_is_bounded_and_the_oldest_leave() -> None:
    shelf: Shelf[int] = Shelf("Thing", 2)
    for number in range(3):
        shelf.put("key", f"t{number}", number)
    assert shelf.of_key("key") == [1, 2]
    with pytest.raises(MockError) as caught:
        shelf.get("key", "t0")
    assert caught.value.status == 404


def test_a_shelf_keeps_keys_apart() -> None:
    shelf: Shelf[int] = Shelf("Thing", 9)
    shelf.put("one", "t", 1)
    assert shelf.get("one", "t") == 1
    assert shelf.of_key("two") == []
    with pytest.raises(MockError):
        shelf.drop("two", "t")
    shelf.drop("one", "t")
    assert shelf.of_key("one") == []


def test_ids_never_repeat() -> None:
    shelf: Shelf[int] = Shelf("Thing", 9)
    names = {shelf.new_id("t", key, b"seed") for key in ("one", "one", "two")}
    assert len(names) == 3


def test_a_conversation_is_bounded() -> None:
    store = ResponseStore()
    store.conversations.put("key", "conv_1", [])
    store.extend("key", "conv_1", [{"id": str(n)} for n in range(3_000)])
    kept = store.before("key", {"conversation": "conv_1"})
    assert len(kept) == 2_000
    assert kept[-1] == {"id": "2999"}


@pytest.mark.parametrize(
    ("named", "expected"), [("c", "c"), ({"id": "c"}, "c"), (None, ""), ({"id": 7}, ""), (7, "")]
)
def test_conversations_are_named_in_two_ways(named: object, expected: str) -> None:
    assert conversation_id({"conversation": named}) == expected
