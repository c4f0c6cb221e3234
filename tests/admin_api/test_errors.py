"""Every error is a problem document with a hint, and the process lives on."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from admin_api.errors import MAX_BODY_BYTES, AdminError, answer_errors
from config.errors import ConfigError
from tests.admin_api.conftest import TOKEN, Admin

FIELDS = {"type", "title", "status", "code", "detail", "hint"}


async def test_an_unknown_route_names_the_known_ones(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/usages", headers={})
    assert status == document["status"] == 404
    assert set(document) == FIELDS
    assert document["hint"].startswith("did you mean /admin/v1/usage")
    for route in ("GET /health/ready", "POST /admin/v1/cache/purge"):
        assert route in document["hint"]


async def test_another_method_names_the_right_one(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/cache/purge")
    assert status == 405
    assert document["hint"] == "use POST"


async def test_a_body_that_is_too_large_is_refused(admin: Admin) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    status, document = await admin.ask("/admin/v1/cache/purge", "POST", data=body)
    assert status == 413
    assert document["code"] == "body_too_large"
    assert (await admin.ask("/health"))[0] == 200


async def test_a_store_that_is_away_is_503_and_says_nothing_is_lost(admin: Admin) -> None:
    for path in ("/admin/v1/usage", "/admin/v1/requests/x", "/admin/v1/conservation"):
        status, document = await admin.ask(path)
        assert status == 503
        assert document["code"] == "columnar_store_away"
        assert "no usage is lost" in document["hint"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AdminError(418, "teapot", "it is one", "use a cup"), 418, "teapot"),
        (ConfigError("the setting is wrong", "set it right"), 400, "invalid_request"),
        (ValueError(f"secret {TOKEN}"), 500, "internal_error"),
        (web.HTTPBadRequest(reason="Odd"), 400, "refused"),
    ],
)
async def test_what_a_route_raises(error: Exception, status: int, code: str) -> None:
    async def fail(_: web.Request) -> web.Response:
        raise error

    app = web.Application(middlewares=[answer_errors])
    app.router.add_get("/fail", fail)
    async with TestClient(TestServer(app)) as client, client.get("/fail") as reply:
        document = await reply.json(content_type=None)
        assert reply.status == document["status"] == status
        assert reply.content_type == "application/problem+json"
        assert document["code"] == code
        assert document["hint"]
        assert TOKEN not in await reply.text()
