"""Declared models: made, replaced and removed; served by upstreams that exist for all."""

import pytest

from tests.admin_api.conftest import Admin

UPSTREAM = {"name": "eu", "kind": "openai", "base_url": "https://eu.api.openai.com/v1"}
NEW = {"name": "meta/house", "upstreams": [{"upstream": "eu", "model": "gpt-4o"}]}


@pytest.fixture
async def ready(admin: Admin) -> Admin:
    assert (await admin.ask("/admin/v1/upstreams", "POST", json=UPSTREAM))[0] == 201
    return admin


async def test_a_model_lives(ready: Admin) -> None:
    status, made = await ready.ask("/admin/v1/models", "POST", json=NEW)
    assert (status, made["upstreams"], made["managed_by"]) == (201, NEW["upstreams"], "api")
    assert (await ready.ask("/admin/v1/models", "POST", json=NEW))[0] == 409
    body = {"upstreams": [{"upstream": "eu"}]}
    status, changed = await ready.ask("/admin/v1/models/meta/house", "PUT", json=body)
    assert (status, changed["version"]) == (200, 2)
    assert changed["upstreams"] == [{"upstream": "eu", "model": None}]
    assert (await ready.ask("/admin/v1/models/meta/house", "DELETE"))[0] == 204
    assert (await ready.ask("/admin/v1/models/meta/house", "DELETE"))[0] == 404


async def test_upstreams_have_to_exist_for_everybody(ready: Admin) -> None:
    await ready.ask("/admin/v1/tenants", "POST", json={"name": "acme"})
    own = {**UPSTREAM, "name": "own"}
    assert (await ready.ask("/admin/v1/tenants/acme/upstreams", "POST", json=own))[0] == 201
    for name in ("own", "nowhere", "acme/own"):
        body = {"name": "m", "upstreams": [{"upstream": name}]}
        status, problem = await ready.ask("/admin/v1/models", "POST", json=body)
        assert (status, problem["code"]) == (422, "unknown_upstream")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "m", "upstreams": []},
        {"name": "with a blank", "upstreams": [{"upstream": "eu"}]},
        {"name": "m", "upstreams": [{"upstream": "eu", "price": {}}]},
        {"name": "m"},
    ],
)
async def test_odd_models_are_refused(ready: Admin, body: dict[str, object]) -> None:
    assert (await ready.ask("/admin/v1/models", "POST", json=body))[0] == 422
