"""Upstreams over the admin API: the operator's for all, a tenant's own, and no way inside."""

from typing import Any

import pytest

from admin_api.routes import upstreams
from config.operator_model import UpstreamConfig
from policies.document_store import UPSTREAMS, insert_document
from tests.admin_api.conftest import Admin
from tests.ssrf_corpus import REFUSED

SHARED, OWN = "/admin/v1/upstreams", "/admin/v1/tenants/acme/upstreams"
NEW = {"name": "eu", "kind": "openai", "base_url": "https://eu.api.openai.com/v1/"}


@pytest.fixture
async def acme(admin: Admin) -> Admin:
    assert (await admin.ask("/admin/v1/tenants", "POST", json={"name": "acme"}))[0] == 201
    admin.changes.clear()
    return admin


@pytest.mark.parametrize("place", [SHARED, OWN])
async def test_an_upstream_lives(acme: Admin, place: str) -> None:
    status, made = await acme.ask(place, "POST", json=NEW)
    assert status == 201
    assert (made["base_url"], made["host"]) == ("https://eu.api.openai.com/v1", "eu.api.openai.com")
    assert made["tenant"] == ("acme" if place == OWN else "")
    assert acme.changes.is_set()
    assert (await acme.ask(place, "POST", json=NEW))[0] == 409
    assert (await acme.ask(place))[1]["items"] == [made]
    status, changed = await acme.ask(f"{place}/eu", "PUT", json={"kind": "groq"})
    assert (status, changed["host"], changed["version"]) == (200, "api.groq.com", 2)
    assert (await acme.ask(f"{place}/eu"))[1] == changed
    assert (await acme.ask(f"{place}/eu", "DELETE"))[0] == 204
    assert (await acme.ask(f"{place}/eu"))[0] == 404
    assert (await acme.ask(place))[1]["items"] == []


async def test_a_tenants_own_serves_models_and_the_operators_does_not(acme: Admin) -> None:
    body = {**NEW, "models": {"house": "gpt-4o"}}
    assert (await acme.ask(OWN, "POST", json=body))[1]["models"] == {"house": "gpt-4o"}
    assert (await acme.ask(SHARED, "POST", json=body))[0] == 422
    assert (await acme.ask(SHARED))[1]["items"] == []


@pytest.mark.parametrize("place", [SHARED, OWN])
async def test_no_spelling_of_an_inside_address_is_stored(acme: Admin, place: str) -> None:
    """The whole corpus, on making and on replacing."""
    assert (await acme.ask(place, "POST", json=NEW))[0] == 201
    for number, url in enumerate(REFUSED):
        body = {"kind": "openai", "base_url": url}
        status, _ = await acme.ask(place, "POST", json={**body, "name": f"n{number}"})
        assert status == 422, url
        assert (await acme.ask(f"{place}/eu", "PUT", json=body))[0] == 422, url
    _, listed = await acme.ask(place)
    assert [each["base_url"] for each in listed["items"]] == ["https://eu.api.openai.com/v1"]


async def test_only_the_operator_may_look_inside(acme: Admin) -> None:
    body = {**NEW, "base_url": "http://10.0.0.7:8000/v1", "allow_private": True}
    status, problem = await acme.ask(OWN, "POST", json=body)
    assert (status, "operator" in problem["detail"]) == (422, True)
    status, made = await acme.ask(SHARED, "POST", json=body)
    assert (status, made["host"]) == (201, "10.0.0.7:8000")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "mock"},
        {"kind": "nobody"},
        {"kind": "azure", "base_url": None},
        {"kind": "bedrock", "base_url": None},
        {"kind": "bedrock", "base_url": None, "region": "x.evil.example/"},
        {"kind": "openai", "api_version": "2024-10-21"},
        {"kind": "openai", "api_key": "sk-in-the-wrong-place"},
        {"kind": "openai", "surprise": 1},
        {"kind": "sagemaker"},
    ],
)
async def test_odd_documents_are_refused(acme: Admin, change: dict[str, Any]) -> None:
    status, problem = await acme.ask(OWN, "POST", json={**NEW, **change})
    assert status == 422
    assert problem["hint"]
    assert "sk-in-the-wrong-place" not in repr(problem)


async def test_what_the_file_declares_is_shown_and_left_alone(acme: Admin) -> None:
    document = UpstreamConfig(kind="openai", base_url="https://api.openai.com/v1")
    async with acme.sql.begin() as connection:
        values = {"document": document.model_dump(mode="json", exclude={"api_key"})}
        await insert_document(connection, UPSTREAMS, ("", "openai"), values, 1.0, "file")
    status, shown = await acme.ask(f"{SHARED}/openai")
    assert (status, shown["managed_by"]) == (200, "file")
    for method, body in (("PUT", {"kind": "groq"}), ("DELETE", None)):
        status, problem = await acme.ask(f"{SHARED}/openai", method, json=body)
        assert (status, problem["code"]) == (409, "managed_by_file")


async def test_an_upstream_that_serves_a_model_is_kept(acme: Admin) -> None:
    await acme.ask(SHARED, "POST", json=NEW)
    model = {"name": "house", "upstreams": [{"upstream": "eu", "model": "gpt-4o"}]}
    assert (await acme.ask("/admin/v1/models", "POST", json=model))[0] == 201
    status, problem = await acme.ask(f"{SHARED}/eu", "DELETE")
    assert (status, problem["code"]) == (409, "upstream_in_use")
    assert (await acme.ask("/admin/v1/models/house", "DELETE"))[0] == 204
    assert (await acme.ask(f"{SHARED}/eu", "DELETE"))[0] == 204


async def test_a_tenant_has_a_bounded_number(acme: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "MOST_UPSTREAMS", 2)
    statuses = [
        (await acme.ask(OWN, "POST", json={**NEW, "name": f"u{number}"}))[0] for number in range(3)
    ]
    assert statuses == [201, 201, 409]
    assert (await acme.ask(SHARED, "POST", json=NEW))[0] == 201, "each tenant has its own count"
