"""Answers /v1/uploads: a file that comes in parts. Added by routes.py."""

from typing import Any

from aiohttp import web

from proxy.providers.mock.errors import MockError, missing, wrong_type, wrong_value
from proxy.providers.mock.exchange import Exchange, opened
from proxy.providers.mock.files import keep_file
from proxy.providers.mock.shelf import MAX_CONTENT_BYTES, Stored, new_id

UPLOAD = "upload"
PART = "upload_part"
LIFETIME_S = 3600


def add_upload_routes(app: web.Application) -> None:
    app.router.add_post("/v1/uploads", create_upload)
    app.router.add_post("/v1/uploads/{id}/parts", add_part)
    app.router.add_post("/v1/uploads/{id}/complete", complete_upload)
    app.router.add_post("/v1/uploads/{id}/cancel", cancel_upload)


@opened
async def create_upload(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    for name in ("filename", "purpose", "mime_type"):
        if not isinstance(asked.get(name), str) or not asked[name]:
            raise missing(name)
    size_bytes = asked.get("bytes")
    if type(size_bytes) is not int:
        raise wrong_type("bytes", "an integer", size_bytes)
    if not 0 < size_bytes <= MAX_CONTENT_BYTES:
        raise wrong_value("bytes", f"expected 1 to {MAX_CONTENT_BYTES}.")
    now_s = exchange.shelf.now_s()
    document = {
        "id": new_id("upload_"),
        "object": "upload",
        "bytes": size_bytes,
        "created_at": now_s,
        "expires_at": now_s + LIFETIME_S,
        "filename": asked["filename"],
        "purpose": asked["purpose"],
        "status": "pending",
        "file": None,
    }
    exchange.shelf.put(exchange.place(UPLOAD), Stored(document))
    return exchange.json(document)


@opened
async def add_part(exchange: Exchange) -> web.StreamResponse:
    upload = _pending(exchange)
    content = exchange.form().file("data").content
    document = {
        "id": new_id("part_"),
        "object": "upload.part",
        "created_at": exchange.shelf.now_s(),
        "upload_id": upload.id,
    }
    exchange.shelf.put(exchange.place(PART, upload.id), Stored(document, content))
    return exchange.json(document)


@opened
async def complete_upload(exchange: Exchange) -> web.StreamResponse:
    upload = _pending(exchange)
    asked = exchange.document()
    content = b"".join(part.content for part in _parts(exchange, asked.get("part_ids")))
    if len(content) != upload.document["bytes"]:
        message = f"The parts have {len(content)} bytes, not {upload.document['bytes']}."
        raise MockError(message, param="part_ids", code="invalid_value")
    exchange.shelf.empty(exchange.place(PART, upload.id))
    details = upload.document
    file = keep_file(exchange, details["filename"], details["purpose"], content)
    details |= {"status": "completed", "file": file.document}
    return exchange.json(details)


@opened
async def cancel_upload(exchange: Exchange) -> web.StreamResponse:
    upload = _pending(exchange)
    exchange.shelf.empty(exchange.place(PART, upload.id))
    upload.document["status"] = "cancelled"
    return exchange.json(upload.document)


def _pending(exchange: Exchange) -> Stored:
    upload = exchange.shelf.get(exchange.place(UPLOAD), exchange.id)
    if upload.document["status"] != "pending":
        message = f"This upload is {upload.document['status']}."
        raise MockError(message, code="invalid_upload_status")
    return upload


def _parts(exchange: Exchange, part_ids: Any) -> list[Stored]:
    if not isinstance(part_ids, list) or not part_ids:
        raise missing("part_ids")
    if len(set(map(str, part_ids))) != len(part_ids):
        raise wrong_value("part_ids", "a part is named twice.")
    place = exchange.place(PART, exchange.id)
    return [exchange.shelf.get(place, str(part_id)) for part_id in part_ids]
