"""The client: typed answers, pages, lines, and tries again only where that changes nothing more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from admin_api.client import MOST_TRIES, AdminApi, AdminApiError
from admin_api.routes.tenants import NewTenant, Tenant
from tests.admin_api.conftest import TOKEN, Admin


def api_of(admin: Admin) -> AdminApi:
    port = int(admin.url.rpartition(":")[2])
    return AdminApi("127.0.0.1", port, TOKEN)


async def test_answers_are_models(admin: Admin) -> None:
    api = api_of(admin)
    for name in ("acme", "globex", "initech"):
        new = NewTenant(name=name, tier="mid")
        made = await asyncio.to_thread(api.call, "POST", "/admin/v1/tenants", Tenant, body=new)
        assert (made.name, made.tier, made.version) == (name, "mid", 1)

    def list_all() -> list[str]:
        return [each.name for each in api.pages("/admin/v1/tenants", Tenant, {"limit": 2})]

    assert await asyncio.to_thread(list_all) == ["acme", "globex", "initech"]


async def test_a_refusal_has_the_words_of_the_api(admin: Admin) -> None:
    api = api_of(admin)
    with pytest.raises(AdminApiError) as caught:
        await asyncio.to_thread(api.ask, "GET", "/admin/v1/tenants/nobody")
    assert (caught.value.status, caught.value.code) == (404, "unknown_tenant")
    assert "GET /admin/v1/tenants" in caught.value.hint
    with pytest.raises(AdminApiError) as caught:
        await asyncio.to_thread(api.ask, "GET", "/elsewhere")
    assert caught.value.status == 404


class FlakyStore:
    """Answers 503 so many times, then the truth; keeps what was asked."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.seen: list[tuple[str, str | None]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.headers.get("Idempotency-Key")))
        if len(self.seen) <= self.away:
            problem = {"code": "store_unavailable", "detail": "away", "hint": "wait"}
            return web.json_response(problem, status=503, headers={"Retry-After": "5"})
        return web.json_response({"is": "there"})


Serve = Callable[[FlakyStore], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers = []

    async def start(store: FlakyStore) -> int:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", store.answer)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return int(server.port or 0)

    yield start
    for server in servers:
        await server.close()


@pytest.mark.parametrize(
    ("method", "tries"), [("GET", 3), ("POST", 3), ("DELETE", 3), ("PATCH", 1)]
)
async def test_a_store_that_is_away_is_waited_for(serve: Serve, method: str, tries: int) -> None:
    store = FlakyStore(2)
    waited: list[float] = []
    api = AdminApi("127.0.0.1", await serve(store), TOKEN, sleep=waited.append)
    if tries == 1:
        with pytest.raises(AdminApiError, match="away"):
            await asyncio.to_thread(api.ask, method, "/x", body={})
    else:
        assert await asyncio.to_thread(api.ask, method, "/x", body={}) == {"is": "there"}
    assert waited == [5.0] * (tries - 1)
    assert len(store.seen) == tries
    keys = {key for _, key in store.seen}
    assert len(keys) == 1
    assert (None in keys) is (method != "POST")


async def test_waiting_has_an_end(serve: Serve) -> None:
    store = FlakyStore(99)
    waited: list[float] = []
    api = AdminApi("127.0.0.1", await serve(store), TOKEN, sleep=waited.append)
    with pytest.raises(AdminApiError) as caught:
        await asyncio.to_thread(api.ask, "GET", "/x")
    assert (caught.value.status, len(store.seen)) == (503, MOST_TRIES)


def test_nobody_there() -> None:
    with pytest.raises(AdminApiError, match="does not answer"):
        AdminApi("127.0.0.1", 1, TOKEN).ask("GET", "/x")
