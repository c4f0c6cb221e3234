"""Answers /v1/vector_stores and their search; their files are apart. Added by routes.py."""

import asyncio
import re
from typing import Any

from aiohttp import web

from proxy.providers.mock.collection import listing, modifying, removing, showing
from proxy.providers.mock.errors import MockError, missing, wrong_value
from proxy.providers.mock.exchange import Exchange, opened, read_metadata, read_text
from proxy.providers.mock.files import FILE
from proxy.providers.mock.shelf import Document, Stored, new_id
from proxy.providers.mock.vector_store_files import (
    STORE,
    STORE_BATCH,
    STORE_FILE,
    attach_files,
    read_file_ids,
)

MAX_RESULTS = 50
EXCERPT_BYTES = 2000
_SEARCHED_BYTES = 100_000
_WORD = re.compile(r"\w+")


def add_vector_store_routes(app: web.Application) -> None:
    router = app.router
    router.add_post("/v1/vector_stores", create_store)
    router.add_get("/v1/vector_stores", listing(STORE))
    router.add_get("/v1/vector_stores/{id}", showing(STORE))
    router.add_post("/v1/vector_stores/{id}", modifying(STORE, ("name", "metadata")))
    nested = (STORE_FILE, STORE_BATCH)
    router.add_delete("/v1/vector_stores/{id}", removing(STORE, "vector_store.deleted", nested))
    router.add_post("/v1/vector_stores/{id}/search", search_store)


@opened
async def create_store(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    file_ids = read_file_ids(asked, is_needed=False)
    for file_id in file_ids:
        exchange.shelf.get(exchange.place(FILE), file_id)
    now_s = exchange.shelf.now_s()
    document = {
        "id": new_id("vs_"),
        "object": "vector_store",
        "created_at": now_s,
        "name": read_text(asked, "name", ""),
        "usage_bytes": 0,
        "file_counts": {
            "in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0,
        },
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": now_s,
        "metadata": read_metadata(asked),
    }  # fmt: skip
    store = exchange.shelf.put(exchange.place(STORE), Stored(document))
    attach_files(exchange, store, file_ids)
    return exchange.json(document)


@opened
async def search_store(exchange: Exchange) -> web.StreamResponse:
    exchange.shelf.get(exchange.place(STORE), exchange.id)
    asked = exchange.document()
    query = _read_query(asked)
    most = asked.get("max_num_results", 10)
    if type(most) is not int or not 1 <= most <= MAX_RESULTS:
        raise wrong_value("max_num_results", f"expected a whole number of 1 to {MAX_RESULTS}.")
    words = set(_WORD.findall(" ".join(query).lower()))
    pairs = _entries(exchange)
    found = await asyncio.to_thread(lambda: [_result(pair, words) for pair in pairs])
    best = sorted(found, key=lambda result: -result["score"])[:most]
    return exchange.json({
        "object": "vector_store.search_results.page",
        "search_query": query,
        "data": best,
        "has_more": False,
        "next_page": None,
    })  # fmt: skip


def _read_query(asked: Document) -> list[str]:
    query = asked.get("query")
    if not query:
        raise missing("query")
    queries = [query] if isinstance(query, str) else query
    if not isinstance(queries, list) or not all(isinstance(text, str) for text in queries):
        raise wrong_value("query", "expected a text or an array of texts.")
    return queries


def _entries(exchange: Exchange) -> list[tuple[Stored, Stored]]:
    """Return (entry in the store, file) pairs; a file that was deleted is found no more."""
    pairs = []
    for entry in exchange.shelf.all(exchange.place(STORE_FILE, exchange.id)):
        try:
            pairs.append((entry, exchange.shelf.get(exchange.place(FILE), entry.id)))
        except MockError:
            continue
    return pairs


def _result(pair: tuple[Stored, Stored], words: set[str]) -> dict[str, Any]:
    entry, file = pair
    text = file.content[:_SEARCHED_BYTES].decode("utf-8", "replace")
    shared = words & set(_WORD.findall(text.lower()))
    return {
        "file_id": entry.id,
        "filename": file.document["filename"],
        "score": len(shared) / max(1, len(words)),
        "attributes": entry.document["attributes"],
        "content": [{"type": "text", "text": text[:EXCERPT_BYTES]}],
    }
