"""Answers the files inside a vector store, one by one or in batches. Added by routes.py."""

from typing import Any

from aiohttp import web

from proxy.providers.mock.collection import deleted
from proxy.providers.mock.errors import missing, wrong_type, wrong_value
from proxy.providers.mock.exchange import Exchange, opened
from proxy.providers.mock.files import FILE
from proxy.providers.mock.shelf import Document, Stored, new_id, page_of

STORE = "vector_store"
STORE_FILE = "vector_store_file"
STORE_BATCH = "vector_store_file_batch"
MAX_BATCH_FILES = 500
_CHUNKING = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}


def add_vector_store_file_routes(app: web.Application) -> None:
    router = app.router
    router.add_post("/v1/vector_stores/{id}/files", create_store_file)
    router.add_get("/v1/vector_stores/{id}/files", list_store_files)
    router.add_get("/v1/vector_stores/{id}/files/{file_id}", show_store_file)
    router.add_post("/v1/vector_stores/{id}/files/{file_id}", modify_store_file)
    router.add_delete("/v1/vector_stores/{id}/files/{file_id}", delete_store_file)
    router.add_get("/v1/vector_stores/{id}/files/{file_id}/content", show_store_file_content)
    router.add_post("/v1/vector_stores/{id}/file_batches", create_file_batch)
    router.add_get("/v1/vector_stores/{id}/file_batches/{batch_id}", show_file_batch)
    router.add_get("/v1/vector_stores/{id}/file_batches/{batch_id}/files", list_batch_files)


def read_file_ids(asked: Document, *, is_needed: bool) -> list[str]:
    """Read `file_ids`; MockError when it is no list of ids, or missing where it is needed."""
    file_ids = asked.get("file_ids")
    if file_ids is None and not is_needed:
        return []
    if file_ids is None:
        raise missing("file_ids")
    if not isinstance(file_ids, list) or not all(isinstance(name, str) for name in file_ids):
        raise wrong_type("file_ids", "an array of strings", file_ids)
    if len(file_ids) > MAX_BATCH_FILES:
        raise wrong_value("file_ids", f"expected at most {MAX_BATCH_FILES} files.")
    return file_ids


def attach_files(
    exchange: Exchange, store: Stored, file_ids: list[str], attributes: Any = None
) -> list[Stored]:
    """Put the account's files into a store; MockError 404 when one is not the account's."""
    place = exchange.place(STORE_FILE, store.id)
    files = [exchange.shelf.get(exchange.place(FILE), file_id) for file_id in file_ids]
    entries = [_entry(exchange, store.id, file, attributes or {}) for file in files]
    for entry in entries:
        exchange.shelf.put(place, entry)
    _recount(exchange, store)
    return entries


def _entry(exchange: Exchange, store_id: str, file: Stored, attributes: Document) -> Stored:
    document = {
        "id": file.id,
        "object": "vector_store.file",
        "usage_bytes": len(file.content),
        "created_at": exchange.shelf.now_s(),
        "vector_store_id": store_id,
        "status": "completed",
        "last_error": None,
        "attributes": attributes,
        "chunking_strategy": {"type": "static", "static": dict(_CHUNKING)},
    }
    return Stored(document)


def _recount(exchange: Exchange, store: Stored) -> None:
    entries = exchange.shelf.all(exchange.place(STORE_FILE, store.id))
    store.document["file_counts"] |= {"completed": len(entries), "total": len(entries)}
    store.document["usage_bytes"] = sum(entry.document["usage_bytes"] for entry in entries)
    store.document["last_active_at"] = exchange.shelf.now_s()


def _store(exchange: Exchange) -> Stored:
    return exchange.shelf.get(exchange.place(STORE), exchange.id)


def _store_file(exchange: Exchange) -> Stored:
    place = exchange.place(STORE_FILE, _store(exchange).id)
    return exchange.shelf.get(place, exchange.http.match_info["file_id"])


@opened
async def create_store_file(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    store = _store(exchange)
    file_id = asked.get("file_id")
    if not isinstance(file_id, str):
        raise missing("file_id")
    (entry,) = attach_files(exchange, store, [file_id], _read_attributes(asked))
    return exchange.json(entry.document)


def _read_attributes(asked: Document) -> Document:
    attributes = asked.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise wrong_type("attributes", "an object", attributes)
    return attributes


@opened
async def list_store_files(exchange: Exchange) -> web.StreamResponse:
    place = exchange.place(STORE_FILE, _store(exchange).id)
    documents = [entry.document for entry in exchange.shelf.all(place)]
    return exchange.json(page_of(documents, exchange.http.query))


@opened
async def show_store_file(exchange: Exchange) -> web.StreamResponse:
    return exchange.json(_store_file(exchange).document)


@opened
async def modify_store_file(exchange: Exchange) -> web.StreamResponse:
    entry = _store_file(exchange)
    entry.document["attributes"] = _read_attributes(exchange.document())
    return exchange.json(entry.document)


@opened
async def delete_store_file(exchange: Exchange) -> web.StreamResponse:
    store, entry = _store(exchange), _store_file(exchange)
    exchange.shelf.remove(exchange.place(STORE_FILE, store.id), entry.id)
    _recount(exchange, store)
    return exchange.json(deleted(entry.id, "vector_store.file.deleted"))


@opened
async def show_store_file_content(exchange: Exchange) -> web.StreamResponse:
    file = exchange.shelf.get(exchange.place(FILE), _store_file(exchange).id)
    text = file.content.decode("utf-8", "replace")
    return exchange.json({
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": text}],
        "has_more": False,
        "next_page": None,
    })  # fmt: skip


@opened
async def create_file_batch(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    store = _store(exchange)
    file_ids = read_file_ids(asked, is_needed=True)
    entries = attach_files(exchange, store, file_ids, _read_attributes(asked))
    total = len(entries)
    document = {
        "id": new_id("vsfb_", 32),
        "object": "vector_store.file_batch",
        "created_at": exchange.shelf.now_s(),
        "vector_store_id": store.id,
        "status": "completed",
        "file_counts": {
            "in_progress": 0, "completed": total, "failed": 0, "cancelled": 0, "total": total,
        },
    }  # fmt: skip
    batch = Stored(document, notes={"file_ids": file_ids})
    exchange.shelf.put(exchange.place(STORE_BATCH, store.id), batch)
    return exchange.json(document)


def _file_batch(exchange: Exchange) -> Stored:
    place = exchange.place(STORE_BATCH, _store(exchange).id)
    return exchange.shelf.get(place, exchange.http.match_info["batch_id"])


@opened
async def show_file_batch(exchange: Exchange) -> web.StreamResponse:
    return exchange.json(_file_batch(exchange).document)


@opened
async def list_batch_files(exchange: Exchange) -> web.StreamResponse:
    wanted = set(_file_batch(exchange).notes["file_ids"])
    entries = exchange.shelf.all(exchange.place(STORE_FILE, exchange.id))
    documents = [entry.document for entry in entries if entry.id in wanted]
    return exchange.json(page_of(documents, exchange.http.query))
