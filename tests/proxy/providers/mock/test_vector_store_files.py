"""The files inside the mock's vector stores, as openai-python sees them."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.proxy.providers.mock.server import MockServer
from tests.proxy.providers.mock.test_vector_stores import make_file


async def test_life_of_a_file_in_a_store(mock: MockServer) -> None:
    stores = mock.client.vector_stores
    store = await stores.create()
    file_id = await make_file(mock, "herons stand")
    entry = await stores.files.create(store.id, file_id=file_id, attributes={"year": 2024})
    assert (entry.id, entry.vector_store_id, entry.status) == (file_id, store.id, "completed")
    changed = await stores.files.update(
        file_id, vector_store_id=store.id, attributes={"year": 2025}
    )
    assert changed.attributes == {"year": 2025}
    assert [found.id async for found in stores.files.list(store.id)] == [file_id]
    (content,) = [part async for part in stores.files.content(file_id, vector_store_id=store.id)]
    assert content.text == "herons stand"
    assert (await stores.files.delete(file_id, vector_store_id=store.id)).deleted
    assert (await stores.retrieve(store.id)).file_counts.total == 0
    assert (await mock.client.files.retrieve(file_id)).id == file_id


async def test_batch_of_files(mock: MockServer) -> None:
    stores = mock.client.vector_stores
    store = await stores.create()
    alone = await make_file(mock, "alone")
    await stores.files.create(store.id, file_id=alone)
    ids = [await make_file(mock, text) for text in ("one", "two")]
    batch = await stores.file_batches.create(store.id, file_ids=ids)
    assert (batch.status, batch.file_counts.completed) == ("completed", 2)
    assert await stores.file_batches.retrieve(batch.id, vector_store_id=store.id) == batch
    listed = stores.file_batches.list_files(batch.id, vector_store_id=store.id, order="asc")
    assert [file.id async for file in listed] == ids


async def test_refusals(mock: MockServer) -> None:
    stores = mock.client.vector_stores
    store = await stores.create()
    with pytest.raises(NotFoundError):
        await stores.files.create(store.id, file_id="file-of-another")
    with pytest.raises(NotFoundError):
        await stores.files.list("vs_of_another")
    with pytest.raises(BadRequestError, match="file_ids"):
        await stores.file_batches.create(store.id, file_ids=[1])  # type: ignore[list-item]
    with pytest.raises(BadRequestError, match="500"):
        await stores.file_batches.create(store.id, file_ids=["x"] * 501)
