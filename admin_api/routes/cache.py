"""POST /admin/v1/cache/purge: empties the exact cache of every proxy, or one tenant's part."""

from typing import Any

import orjson
from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT
from admin_api.errors import AdminError
from config.errors import suggest

PURGE_TIMEOUT_S = 2.0


async def purge_cache(request: web.Request) -> web.Response:
    """{"removed": entries, "proxies": answered, "proxies_connected": n}."""
    context = request.app[CONTEXT]
    tenant = _read_tenant(await request.read(), context.tenants())
    connected = len(context.bus.proxies)
    removed, answered = await context.bus.purge(tenant, PURGE_TIMEOUT_S)
    return json_response({"removed": removed, "proxies": answered, "proxies_connected": connected})


def _read_tenant(body: bytes, known: frozenset[str]) -> str | None:
    """The tenant of {"tenant": "name"}; None, for all of them, when the body is empty."""
    document = _read_object(body)
    unknown = sorted(set(document) - {"tenant"})
    if unknown:
        message = f"unknown field {unknown[0]!r}"
        raise AdminError(400, "invalid_request", message, suggest(unknown[0], ["tenant"]))
    tenant = document.get("tenant")
    if tenant is None:
        return None
    if not isinstance(tenant, str) or tenant not in known:
        raise AdminError(
            404, "unknown_tenant", f"there is no tenant {tenant!r}", suggest(str(tenant), known)
        )
    return tenant


def _read_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"the body is no JSON: {error}"
        hint = 'send nothing, or {"tenant": "name"}'
        raise AdminError(400, "invalid_json", message, hint) from error
    if not isinstance(document, dict):
        hint = 'send nothing, or {"tenant": "name"}'
        raise AdminError(400, "invalid_request", "the body is no JSON object", hint)
    return document
