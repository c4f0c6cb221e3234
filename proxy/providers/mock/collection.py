"""Handlers every kind of stored object has alike: list, show, modify, delete; for its routes."""

from aiohttp import web

from proxy.providers.mock.exchange import Exchange, Handler, opened, read_metadata
from proxy.providers.mock.shelf import Document, page_of


def listing(kind: str) -> Handler:
    """List the account's objects of a kind, in pages."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        documents = [stored.document for stored in exchange.shelf.all(exchange.place(kind))]
        return exchange.json(page_of(documents, exchange.http.query))

    return opened(answer)


def showing(kind: str) -> Handler:
    async def answer(exchange: Exchange) -> web.StreamResponse:
        return exchange.json(exchange.shelf.get(exchange.place(kind), exchange.id).document)

    return opened(answer)


def removing(kind: str, object_name: str, nested: tuple[str, ...] = ()) -> Handler:
    """Delete an object and what is nested in it."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        exchange.shelf.remove(exchange.place(kind), exchange.id)
        for inner in nested:
            exchange.shelf.empty(exchange.place(inner, exchange.id))
        return exchange.json(deleted(exchange.id, object_name))

    return opened(answer)


def modifying(kind: str, names: tuple[str, ...]) -> Handler:
    """Replace the named fields that the body gives; the metadata must be an object."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        stored = exchange.shelf.get(exchange.place(kind), exchange.id)
        asked = exchange.document()
        read_metadata(asked)
        stored.document |= {name: asked[name] for name in names if name in asked}
        return exchange.json(stored.document)

    return opened(answer)


def deleted(object_id: str, object_name: str) -> Document:
    """Make the answer to a deletion."""
    return {"id": object_id, "object": object_name, "deleted": True}
