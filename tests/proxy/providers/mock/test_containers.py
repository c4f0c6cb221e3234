"""The mock's containers, as openai-python sees them."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.proxy.providers.mock.server import MockServer


async def test_life_of_a_container(mock: MockServer) -> None:
    containers = mock.client.containers
    made = await containers.create(name="scratch")
    assert made.id.startswith("cntr_")
    assert (made.name, made.status) == ("scratch", "running")
    assert (await containers.retrieve(made.id)).id == made.id
    assert [found.id async for found in containers.list()] == [made.id]
    await containers.delete(made.id)
    with pytest.raises(NotFoundError):
        await containers.retrieve(made.id)


async def test_name_is_needed(mock: MockServer) -> None:
    with pytest.raises(BadRequestError, match="name"):
        await mock.client.containers.create(name="")
