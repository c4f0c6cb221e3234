"""Every route called as everybody: what is answered is what docs/authorisation.md says."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from admin_api.app import RESOURCES
from admin_api.calls import ACTOR, Route
from admin_api.context import CONTEXT
from admin_api.errors import AdminError, Handler, answer_errors
from admin_api.openapi import path_of
from admin_api.serving import build_handler
from tests.admin_api.authorisation import (
    CALLERS,
    FOR_ANYBODY,
    OTHER,
    TENANT,
    actor_of,
    is_about_a_tenant,
    verdict_of,
)
from tests.admin_api.conftest import Admin

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "authorisation.md"
CALLER = "x-caller"
NOTHING_CHANGES = {"If-Match": '"999999999"'}  # or what the first may do, the next could not


@web.middleware
async def become_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
    """In the place of the check of credentials, which other tests are about."""
    actor = actor_of(request.headers[CALLER])
    if actor is None:
        raise AdminError(401, "missing_token", "nobody", "say who you are")
    request[ACTOR] = actor
    return await handler(request)


@pytest.fixture
async def url(admin: Admin) -> AsyncIterator[str]:
    """The routes of the application, behind a door that takes the caller's word."""
    for name in (TENANT, OTHER):
        await admin.ask("/admin/v1/tenants", "POST", json={"name": name})
    app = web.Application(middlewares=[answer_errors, become_caller])
    app[CONTEXT] = admin.context
    for route in RESOURCES:
        app.router.add_route(route.method, route.path, build_handler(route))
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def ask(url: str, route: Route, caller: str) -> str:
    """The verdict of the served route: one of refusal is told from any other by its code."""
    path = re.sub(r"\{\w+\}", "x", path_of(route.path).replace("{tenant}", TENANT))
    query = {"tenant": TENANT} if "tenant" in route.query.model_fields else {}
    options: dict[str, Any] = {"json": {}} if route.body is not None else {}
    async with (
        aiohttp.ClientSession(headers={CALLER: caller, **NOTHING_CHANGES}) as session,
        session.request(route.method, f"{url}{path}", params=query, **options) as reply,
    ):
        document = await reply.json(content_type=None) if reply.status >= 400 else {}
    refusals = {"missing_token": "401", "forbidden": "403", "unknown_tenant": "404"}
    return refusals.get(document.get("code", ""), "yes")


async def test_every_route_answers_everybody_as_documented(url: str) -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    written = {
        line.split("`")[1]: [cell.strip() for cell in line.split("|")[3:-1]] for line in lines
    }
    for route in RESOURCES:
        given = [await ask(url, route, caller) for caller in CALLERS]
        assert given == written[f"{route.method} {path_of(route.path)}"], route.path


def test_who_is_not_the_operator_names_a_tenant_they_have_a_part_in() -> None:
    """No route but those for anybody, and the operator's, goes without a tenant."""
    loose = {
        route.permission
        for route in RESOURCES
        if not is_about_a_tenant(route) and verdict_of(route, "owner") == "yes"
    }
    assert loose <= set(FOR_ANYBODY)
