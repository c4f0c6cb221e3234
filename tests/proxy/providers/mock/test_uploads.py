"""The mock's uploads in parts, as openai-python sees them."""

import pytest
from openai import BadRequestError, NotFoundError
from openai.types import Upload

from tests.proxy.providers.mock.server import MockServer

PARTS = (b"\x00\r\n" * 100, b"\xff" * 50)
SIZE_BYTES = sum(map(len, PARTS))


async def started(mock: MockServer) -> Upload:
    return await mock.client.uploads.create(
        bytes=SIZE_BYTES, filename="big.bin", mime_type="application/x", purpose="user_data"
    )


async def test_parts_become_one_file(mock: MockServer) -> None:
    upload = await started(mock)
    assert upload.status == "pending"
    parts = [await mock.client.uploads.parts.create(upload.id, data=data) for data in PARTS]
    done = await mock.client.uploads.complete(
        upload.id, part_ids=[part.id for part in reversed(parts)]
    )
    assert done.status == "completed"
    assert done.file is not None
    assert done.file.bytes == SIZE_BYTES
    content = await mock.client.files.content(done.file.id)
    assert content.content == PARTS[1] + PARTS[0]
    with pytest.raises(BadRequestError, match="completed"):
        await mock.client.uploads.parts.create(upload.id, data=b"late")


async def test_size_must_be_right(mock: MockServer) -> None:
    upload = await started(mock)
    part = await mock.client.uploads.parts.create(upload.id, data=PARTS[0])
    with pytest.raises(BadRequestError, match="300 bytes, not 350"):
        await mock.client.uploads.complete(upload.id, part_ids=[part.id])
    with pytest.raises(BadRequestError, match="twice"):
        await mock.client.uploads.complete(upload.id, part_ids=[part.id, part.id])
    with pytest.raises(NotFoundError):
        await mock.client.uploads.complete(upload.id, part_ids=["part_none"])


async def test_cancel(mock: MockServer) -> None:
    upload = await started(mock)
    assert (await mock.client.uploads.cancel(upload.id)).status == "cancelled"
    with pytest.raises(BadRequestError, match="cancelled"):
        await mock.client.uploads.complete(upload.id, part_ids=["x"])


async def test_size_is_bounded(mock: MockServer) -> None:
    with pytest.raises(BadRequestError, match="bytes"):
        await mock.client.uploads.create(
            bytes=2**40, filename="a", mime_type="b", purpose="user_data"
        )
