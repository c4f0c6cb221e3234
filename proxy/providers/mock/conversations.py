"""Answers /v1/conversations and their items. Added by routes.py."""

from typing import Any

from aiohttp import web

from proxy.providers.mock.collection import modifying, removing, showing
from proxy.providers.mock.errors import wrong_type, wrong_value
from proxy.providers.mock.exchange import Exchange, opened, read_metadata
from proxy.providers.mock.responses_store import RESPONSES
from proxy.providers.mock.shelf import Document, Place, Stored, new_id, page_of
from proxy.providers.mock.state import Call
from proxy.providers.mock.validation import content_parts

CONVERSATION = "conversation"
ITEM = "conversation_item"
MAX_ITEMS = 20


def add_conversation_routes(app: web.Application) -> None:
    router = app.router
    router.add_post("/v1/conversations", create_conversation)
    router.add_get("/v1/conversations/{id}", showing(CONVERSATION))
    router.add_post("/v1/conversations/{id}", modifying(CONVERSATION, ("metadata",)))
    router.add_delete("/v1/conversations/{id}", delete_conversation)
    router.add_post("/v1/conversations/{id}/items", create_items)
    router.add_get("/v1/conversations/{id}/items", list_items)
    router.add_get("/v1/conversations/{id}/items/{item_id}", show_item)
    router.add_delete("/v1/conversations/{id}/items/{item_id}", delete_item)


@opened
async def create_conversation(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    items = _read_items(asked, least=0)
    document: Document = {
        "id": new_id("conv_", 48),
        "object": "conversation",
        "created_at": exchange.shelf.now_s(),
        "metadata": read_metadata(asked),
    }
    exchange.shelf.put(exchange.place(CONVERSATION), Stored(document))
    _keep(exchange, exchange.place(ITEM, document["id"]), items)
    # A response may be part of it: those are kept with the responses.
    exchange.http.app[RESPONSES].conversations.put(
        exchange.call.api_key, document["id"], list(items)
    )
    return exchange.json(document)


async def delete_conversation(http: web.Request) -> web.StreamResponse:
    response = await removing(CONVERSATION, "conversation.deleted", (ITEM,))(http)
    http.app[RESPONSES].conversations.drop(Call(http).api_key, http.match_info["id"])
    return response


def _read_items(asked: Document, least: int) -> list[Document]:
    items = asked.get("items") or []
    if not isinstance(items, list):
        raise wrong_type("items", "an array of objects", items)
    if not least <= len(items) <= MAX_ITEMS:
        raise wrong_value("items", f"expected {least} to {MAX_ITEMS} items.")
    return [_read_item(f"items[{index}]", item) for index, item in enumerate(items)]


def _read_item(where: str, item: Any) -> Document:
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    if item.get("type", "message") != "message":
        return {**item, "id": new_id("item_", 48)}
    role = item.get("role")
    if not isinstance(role, str):
        raise wrong_type(f"{where}.role", "a string", role)
    kind = "output_text" if role == "assistant" else "input_text"
    parts = [
        {**part, "type": kind} if part.get("type") == "text" else part
        for part in content_parts(item)
        if isinstance(part, dict)
    ]
    message = {"type": "message", "status": "completed", "role": role, "content": parts}
    return {"id": new_id("msg_", 48), **message}


def _keep(exchange: Exchange, place: Place, items: list[Document]) -> None:
    for item in items:
        exchange.shelf.put(place, Stored(item))


def _items_place(exchange: Exchange) -> Place:
    conversation = exchange.shelf.get(exchange.place(CONVERSATION), exchange.id)
    return exchange.place(ITEM, conversation.id)


@opened
async def create_items(exchange: Exchange) -> web.StreamResponse:
    place = _items_place(exchange)
    items = _read_items(exchange.document(), least=1)
    _keep(exchange, place, items)
    return exchange.json(page_of(items, {"order": "asc"}))


@opened
async def list_items(exchange: Exchange) -> web.StreamResponse:
    items = [stored.document for stored in exchange.shelf.all(_items_place(exchange))]
    return exchange.json(page_of(items, exchange.http.query))


@opened
async def show_item(exchange: Exchange) -> web.StreamResponse:
    item_id = exchange.http.match_info["item_id"]
    return exchange.json(exchange.shelf.get(_items_place(exchange), item_id).document)


@opened
async def delete_item(exchange: Exchange) -> web.StreamResponse:
    exchange.shelf.remove(_items_place(exchange), exchange.http.match_info["item_id"])
    conversation = exchange.shelf.get(exchange.place(CONVERSATION), exchange.id)
    return exchange.json(conversation.document)
