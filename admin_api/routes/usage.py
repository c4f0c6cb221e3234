"""GET /admin/v1/usage: requests, tokens and cost by one dimension, up to this very moment."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT, UsageStore
from admin_api.errors import AdminError
from admin_api.key_names import ReadKeyNames, name_keys
from config.errors import nearest
from ledger.usage import UsageQueryError, usage_rows
from ledger.usage_sql import DIMENSIONS

GROUPS = tuple(DIMENSIONS)
PARAMETERS = ("group_by", "from", "to", "tenant")


async def show_usage(request: web.Request) -> web.Response:
    """{"rows": [...], "totals": {...}}; what was answered before the call is in it."""
    context = request.app[CONTEXT]
    return json_response(await answer_usage(context.usage, context.key_names, request.query))


async def answer_usage(
    usage: UsageStore, key_names: ReadKeyNames, query: Mapping[str, str]
) -> dict[str, Any]:
    """The answer to a query of group_by, from, to, tenant; AdminError."""
    for name in query:
        _check_choice("parameter", name, PARAMETERS)
    group_by = query.get("group_by", GROUPS[0])
    _check_choice("group_by", group_by, GROUPS)
    fresh = await usage.open_fresh()
    try:
        answer = await usage_rows(
            fresh.columnar,
            group_by,
            _read_moment(query.get("from")),
            _read_moment(query.get("to")),
            query.get("tenant"),
            fresh.open_window,
        )
    except UsageQueryError as error:
        raise AdminError(400, "invalid_period", str(error), error.hint) from error
    if group_by == "key":
        answer["rows"] = name_keys(answer["rows"], await key_names())
    return answer


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = nearest(value, known)
        advice = f"did you mean {' or '.join(near)}? " if near else ""
        hint = f"{advice}{name} is one of {', '.join(known)}"
        raise AdminError(400, f"unknown_{name}", f"unknown {name} {value[:64]!r}", hint)


def _read_moment(text: str | None) -> str | None:
    """A plus sign that was not encoded arrives as a space, which no moment has after its T."""
    return text.replace(" ", "+") if text and "T" in text else text
