"""Answers /v1/containers, without files and without running anything. Added by routes.py."""

from aiohttp import web

from proxy.providers.mock.collection import listing, removing, showing
from proxy.providers.mock.errors import missing
from proxy.providers.mock.exchange import Exchange, opened, read_text
from proxy.providers.mock.shelf import Stored, new_id

CONTAINER = "container"
IDLE_MINUTES = 20


def add_container_routes(app: web.Application) -> None:
    router = app.router
    router.add_post("/v1/containers", create_container)
    router.add_get("/v1/containers", listing(CONTAINER))
    router.add_get("/v1/containers/{id}", showing(CONTAINER))
    router.add_delete("/v1/containers/{id}", removing(CONTAINER, "container.deleted"))


@opened
async def create_container(exchange: Exchange) -> web.StreamResponse:
    name = read_text(exchange.document(), "name")
    if not name:
        raise missing("name")
    now_s = exchange.shelf.now_s()
    document = {
        "id": new_id("cntr_", 48),
        "object": "container",
        "created_at": now_s,
        "last_active_at": now_s,
        "status": "running",
        "expires_after": {"anchor": "last_active_at", "minutes": IDLE_MINUTES},
        "memory_limit": "1g",
        "name": name,
    }
    exchange.shelf.put(exchange.place(CONTAINER), Stored(document))
    return exchange.json(document)
