"""Purging the proxies' caches over the bus."""

from collections.abc import AsyncIterator

import pytest

from config.bus import BusClient, Message
from config.tasks import TaskOwner
from tests.admin_api.conftest import TOKEN, Admin
from tests.gateway import wait_until

PURGE = "/admin/v1/cache/purge"
AUTH = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@pytest.fixture
async def heard(admin: Admin) -> AsyncIterator[list[Message]]:
    """What two connected proxies hear; each of them removes three entries."""
    messages: list[Message] = []

    def receive(message: Message) -> Message:
        messages.append(message)
        return {"type": "purged", "removed": 3}

    tasks = TaskOwner()
    for index in range(2):
        hello = {"type": "hello", "role": "proxy", "pid": index + 1, "index": index}
        client = BusClient(admin.bus._path, receive, hello)  # noqa: SLF001  where it listens
        tasks.start(client.run(), "proxy")
    await wait_until(lambda: len(admin.bus.proxies) == 2)
    yield messages
    await tasks.stop()


@pytest.mark.parametrize(
    ("body", "tenant"),
    [(b"", None), (b"{}", None), (b'{"tenant": null}', None), (b'{"tenant": "acme"}', "acme")],
)
async def test_every_proxy_empties_its_cache(
    admin: Admin, heard: list[Message], body: bytes, tenant: str | None
) -> None:
    status, document = await admin.ask(PURGE, "POST", data=body, headers=AUTH)
    assert status == 200
    assert document == {"removed": 6, "proxies": 2, "proxies_connected": 2}
    assert [message["tenant"] for message in heard] == [tenant, tenant]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "openapi.json"),
        (b"[]", 422, "openapi.json"),
        (b'{"tennant": "acme"}', 422, "did you mean tenant?"),
        (b'{"tenant": "acne"}', 404, "did you mean acme?"),
        (b'{"tenant": 7}', 422, "openapi.json"),
    ],
)
async def test_a_bad_question_empties_nothing(
    admin: Admin, heard: list[Message], body: bytes, status: int, said: str
) -> None:
    answered, document = await admin.ask(PURGE, "POST", data=body, headers=AUTH)
    assert answered == status
    assert said in document["hint"]
    assert heard == []
