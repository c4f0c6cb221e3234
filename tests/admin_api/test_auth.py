"""Who may call: every route of the table is tried without and with a token."""

import re

import pytest
from aiohttp import web

from admin_api.app import RESOURCES, ROUTES
from admin_api.auth import METRICS_ROUTE, OPEN_ROUTES, place_of
from tests.admin_api.conftest import TOKEN, Admin, OpenAdmin


def path_of(route: str) -> str:
    return re.sub(r"\{[^{}]*\}", "x", route)


@pytest.mark.parametrize(
    ("method", "route"),
    [*((method, path) for method, path, _ in ROUTES), *((r.method, r.path) for r in RESOURCES)],
)
async def test_every_route_but_the_open_ones_asks_for_the_token(
    admin: Admin, method: str, route: str
) -> None:
    is_open = route in OPEN_ROUTES | {METRICS_ROUTE}
    path = path_of(route)
    status, document = await admin.ask(path, method, headers={})
    assert (status == 401) is not is_open
    if not is_open:
        assert document["code"] == "missing_token"
        assert "APEX_ADMIN_TOKEN" in document["hint"]
    assert (await admin.ask(path, method))[0] != 401
    assert (await admin.ask(path, method, headers={"x-admin-token": TOKEN}))[0] != 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer ünïcode"},
        {"x-admin-token": "wrong"},
    ],
)
async def test_another_token_is_refused(admin: Admin, headers: dict[str, str]) -> None:
    status, document = await admin.ask("/admin/v1/usage", headers=headers)
    assert status == 401
    assert document["code"] == "wrong_token"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"x-api-key": TOKEN},
        {"x-admin-token": ""},
    ],
)
async def test_a_token_in_another_place_is_none(admin: Admin, headers: dict[str, str]) -> None:
    status, document = await admin.ask("/admin/v1/usage", headers=headers)
    assert status == 401
    assert document["code"] == "missing_token"


@pytest.mark.parametrize(
    "path", ["/health/../admin/v1/usage", "//admin/v1/usage", "/admin/v1/usage/", "/health//ready"]
)
async def test_no_spelling_of_a_path_gets_around_the_token(admin: Admin, path: str) -> None:
    status, _ = await admin.ask(path, headers={})
    assert status in {401, 404}


async def test_metrics_ask_for_the_token_where_others_can_reach_the_port(
    open_admin: OpenAdmin,
) -> None:
    admin = await open_admin(APEX_HOST="0.0.0.0")  # noqa: S104  the setting is what is tested
    assert (await admin.ask("/health/metrics", headers={}))[0] == 401
    status, text = await admin.ask("/health/metrics")
    assert status == 200
    assert "# TYPE apex_requests_total counter" in text
    assert (await admin.ask("/health", headers={}))[0] == 200


def test_a_route_is_known_by_its_path_without_the_patterns() -> None:
    """As it is when a request was matched; else what is for people would stay the operator's."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    router = web.Application().router
    assert place_of(router.add_route("GET", "/a/{b:.+}", answer)) == ("GET", "/a/{b}")
    assert place_of(router.add_route("POST", "/a/{b}/c", answer)) == ("POST", "/a/{b}/c")
