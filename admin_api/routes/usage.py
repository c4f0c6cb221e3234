"""GET /admin/v1/usage: requests, tokens and cost by one dimension, up to this very moment."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT, UsageStore
from admin_api.errors import AdminError
from config.errors import suggest
from ledger.usage import UsageQueryError, usage_rows

GROUPS = ("model", "served_model", "key", "tag", "day", "upstream", "cache", "tenant")
PARAMETERS = ("group_by", "from", "to", "tenant")


async def show_usage(request: web.Request) -> web.Response:
    """{"rows": [...], "totals": {...}}; what was answered before the call is in it."""
    return json_response(await answer_usage(request.app[CONTEXT].usage, request.query))


async def answer_usage(usage: UsageStore, query: Mapping[str, str]) -> dict[str, Any]:
    """The answer to a query of group_by, from, to, tenant; AdminError."""
    for name in query:
        _check_choice("parameter", name, PARAMETERS)
    group_by = query.get("group_by", GROUPS[0])
    _check_choice("group_by", group_by, GROUPS)
    fresh = await usage.open_fresh()
    try:
        return await usage_rows(
            fresh.columnar,
            group_by,
            _read_moment(query.get("from")),
            _read_moment(query.get("to")),
            query.get("tenant"),
            fresh.open_window,
        )
    except UsageQueryError as error:
        raise AdminError(400, "invalid_period", str(error), error.hint) from error


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"unknown {name} {value[:64]!r}"
        raise AdminError(400, f"unknown_{name}", message, suggest(value, known))


def _read_moment(text: str | None) -> str | None:
    """A plus sign that was not encoded arrives as a space, which no moment has after its T."""
    return text.replace(" ", "+") if text and "T" in text else text
