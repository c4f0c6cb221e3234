"""The mock's vector stores, as openai-python sees them."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.proxy.providers.mock.server import MockServer


async def make_file(mock: MockServer, text: str) -> str:
    file = (f"{text[:5]}.txt", text.encode())
    return (await mock.client.files.create(file=file, purpose="assistants")).id


async def test_life_of_a_store(mock: MockServer) -> None:
    stores = mock.client.vector_stores
    file_id = await make_file(mock, "herons stand")
    store = await stores.create(name="birds", file_ids=[file_id], metadata={"a": "b"})
    assert store.id.startswith("vs_")
    assert (store.file_counts.completed, store.usage_bytes) == (1, 12)
    changed = await stores.update(store.id, name="fish")
    assert (changed.name, changed.metadata) == ("fish", {"a": "b"})
    assert await stores.retrieve(store.id) == changed
    assert [found.id async for found in stores.list()] == [store.id]
    assert (await stores.delete(store.id)).deleted
    with pytest.raises(NotFoundError):
        await stores.files.retrieve(file_id, vector_store_id=store.id)


async def test_search_finds_the_better_file_first(mock: MockServer) -> None:
    ids = [await make_file(mock, text) for text in ("herons stand", "herons eat fish")]
    store = await mock.client.vector_stores.create(file_ids=ids)
    search = mock.client.vector_stores.search
    found = [result async for result in search(store.id, query="what fish do herons eat")]
    assert [result.file_id for result in found] == ids[::-1]
    assert found[0].score > found[1].score > 0
    assert found[0].content[0].text == "herons eat fish"
    (best,) = [result async for result in search(store.id, query=["fish"], max_num_results=1)]
    assert best.file_id == ids[1]
    await mock.client.files.delete(ids[1])
    assert [result.file_id async for result in search(store.id, query="fish")] == ids[:1]


async def test_refusals(mock: MockServer) -> None:
    stores = mock.client.vector_stores
    with pytest.raises(NotFoundError):
        await stores.create(file_ids=["file-of-another"])
    store = await stores.create()
    with pytest.raises(BadRequestError, match="query"):
        await stores.search(store.id, query="")
    with pytest.raises(BadRequestError, match="max_num_results"):
        await stores.search(store.id, query="x", max_num_results=51)
    with pytest.raises(BadRequestError, match="metadata"):
        await stores.update(store.id, metadata=[])  # type: ignore[arg-type]
