"""Answers /v1/files: what callers upload, and what batches write. Added by routes.py."""

from aiohttp import web

from proxy.providers.mock.collection import removing, showing
from proxy.providers.mock.exchange import Exchange, opened
from proxy.providers.mock.shelf import Stored, new_id, page_of

FILE = "file"


def add_file_routes(app: web.Application) -> None:
    app.router.add_post("/v1/files", upload_file)
    app.router.add_get("/v1/files", list_files)
    app.router.add_get("/v1/files/{id}", showing(FILE))
    app.router.add_delete("/v1/files/{id}", removing(FILE, "file"))
    app.router.add_get("/v1/files/{id}/content", show_content)


def keep_file(exchange: Exchange, name: str, purpose: str, content: bytes) -> Stored:
    """Keep a file in the caller's account; also called for what uploads and batches make."""
    document = {
        "id": new_id("file-"),
        "object": "file",
        "bytes": len(content),
        "created_at": exchange.shelf.now_s(),
        "expires_at": None,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    return exchange.shelf.put(exchange.place(FILE), Stored(document, content))


@opened
async def upload_file(exchange: Exchange) -> web.StreamResponse:
    form = exchange.form()
    file = form.file("file")
    stored = keep_file(exchange, file.name, form.text("purpose"), file.content)
    return exchange.json(stored.document)


@opened
async def list_files(exchange: Exchange) -> web.StreamResponse:
    purpose = exchange.http.query.get("purpose")
    documents = [stored.document for stored in exchange.shelf.all(exchange.place(FILE))]
    wanted = [file for file in documents if purpose in {None, file["purpose"]}]
    return exchange.json(page_of(wanted, exchange.http.query))


@opened
async def show_content(exchange: Exchange) -> web.StreamResponse:
    content = exchange.shelf.get(exchange.place(FILE), exchange.id).content
    return exchange.content(content, "application/octet-stream")
