"""GET /admin/v1/prices/{model}: what a model costs here, and where that price comes from."""

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT
from ledger.price_report import explain


async def show_price(request: web.Request) -> web.Response:
    """The rows of `prices explain`, from the book in force."""
    model = request.match_info["model"]
    book = request.app[CONTEXT].price_book()
    return json_response({"model": model, "price_book": book.hash, "rows": explain(book, model)})
