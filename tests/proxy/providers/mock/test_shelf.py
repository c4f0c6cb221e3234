"""The shelf keeps accounts apart, stays within its bounds, and pages its lists."""

import pytest

from config.clock import Clock
from proxy.providers.mock import shelf as bounds
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.shelf import Place, Shelf, Stored, new_id, page_of

HERE = Place(b"one", "file")
THERE = Place(b"two", "file")


def stored(name: str, size_bytes: int = 0) -> Stored:
    return Stored({"id": name}, bytes(size_bytes))


def test_accounts_are_apart() -> None:
    shelf = Shelf(Clock())
    shelf.put(HERE, stored("a"))
    assert shelf.get(HERE, "a").id == "a"
    with pytest.raises(MockError) as caught:
        shelf.get(THERE, "a")
    assert caught.value.status == 404
    assert shelf.all(THERE) == []
    shelf.empty(HERE)
    with pytest.raises(MockError):
        shelf.remove(HERE, "a")


def test_oldest_leave_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OBJECTS", 3)
    shelf = Shelf(Clock())
    for name in "abcd":
        shelf.put(HERE if name < "c" else THERE, stored(name))
    assert [object_.id for object_ in shelf.all(HERE)] == ["b"]
    assert [object_.id for object_ in shelf.all(THERE)] == ["c", "d"]


def test_content_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CONTENT_BYTES", 100)
    shelf = Shelf(Clock())
    shelf.put(HERE, stored("a", 60))
    shelf.put(HERE, stored("b", 40))
    shelf.put(HERE, stored("c", 50))
    assert [object_.id for object_ in shelf.all(HERE)] == ["b", "c"]
    shelf.put(HERE, stored("c", 60))  # replaces itself: there is room
    assert [object_.id for object_ in shelf.all(HERE)] == ["b", "c"]
    with pytest.raises(MockError) as caught:
        shelf.put(HERE, stored("d", 101))
    assert caught.value.status == 413
    assert [object_.id for object_ in shelf.all(HERE)] == ["b", "c"]


def test_pages() -> None:
    documents = [{"id": name} for name in "abcde"]
    first = page_of(documents, {"limit": "2"})
    assert [item["id"] for item in first["data"]] == ["e", "d"]
    assert (first["first_id"], first["last_id"], first["has_more"]) == ("e", "d", True)
    last = page_of(documents, {"after": "d", "limit": "3"})
    assert [item["id"] for item in last["data"]] == ["c", "b", "a"]
    assert not last["has_more"]
    assert page_of(documents, {"order": "asc", "before": "b"})["last_id"] == "a"
    assert page_of(documents, {"after": "of-another-account"})["data"] == []


@pytest.mark.parametrize("limit", ["0", "-1", "x", "9999999", "", "1.5"])
def test_hostile_limits(limit: str) -> None:
    with pytest.raises(MockError):
        page_of([], {"limit": limit})


def test_ids_are_unique() -> None:
    ids = {new_id("file-") for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(name) for name in ids} == {len("file-") + 24}
