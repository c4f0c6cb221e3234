"""The operator's own prices: cited, per million tokens, and believable."""

from typing import Any

import pytest

from tests.admin_api.conftest import Admin

UPSTREAM = {"name": "eu", "kind": "openai", "base_url": "https://api.openai.com/v1"}
NEW: dict[str, Any] = {
    "upstream": "eu", "model": "gpt-4o", "input_per_million_usd": 2.25,
    "output_per_million_usd": "9", "citation": "contract 4711, 2026-11-01",
}  # fmt: skip


@pytest.fixture
async def ready(admin: Admin) -> Admin:
    assert (await admin.ask("/admin/v1/upstreams", "POST", json=UPSTREAM))[0] == 201
    return admin


async def test_a_price_lives(ready: Admin) -> None:
    status, made = await ready.ask("/admin/v1/prices", "POST", json=NEW)
    assert (status, made["input_per_million_usd"], made["citation"]) == (
        201, "2.25", NEW["citation"],
    )  # fmt: skip
    assert (await ready.ask("/admin/v1/prices", "POST", json=NEW))[0] == 409
    assert (await ready.ask("/admin/v1/prices"))[1]["items"] == [made]
    change = {name: value for name, value in NEW.items() if name not in {"upstream", "model"}}
    place = "/admin/v1/prices/eu/gpt-4o"
    status, changed = await ready.ask(place, "PUT", json={**change, "input_per_million_usd": 2})
    assert (status, changed["input_per_million_usd"], changed["version"]) == (200, "2", 2)
    assert (await ready.ask(place, "DELETE"))[0] == 204
    assert (await ready.ask(place, "DELETE"))[0] == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"input_per_million_usd": "0.0000025"}, "invalid_body"),  # per token
        ({"output_per_million_usd": "0.00001"}, "invalid_body"),
        ({"input_per_million_usd": "0.0025"}, "unusual_price"),  # per thousand
        ({"output_per_million_usd": 9000}, "unusual_price"),
        ({"output_per_million_usd": 90_000}, "invalid_body"),
        ({"input_per_million_usd": -1}, "invalid_body"),
        ({"input_per_million_usd": "NaN"}, "invalid_body"),
        ({"citation": ""}, "invalid_body"),
        ({"citation": None}, "invalid_body"),
        ({"upstream": "nowhere"}, "unknown_upstream"),
    ],
)
async def test_prices_that_cannot_be_meant_are_refused(
    ready: Admin, change: dict[str, Any], code: str
) -> None:
    status, problem = await ready.ask("/admin/v1/prices", "POST", json={**NEW, **change})
    assert status in {404, 422}
    assert problem["code"] == code
    assert (await ready.ask("/admin/v1/prices"))[1]["items"] == []


async def test_an_unusual_price_is_taken_when_it_is_said_to_be_one(ready: Admin) -> None:
    gift = {**NEW, "input_per_million_usd": 0, "output_per_million_usd": 0, "is_unusual": True}
    assert (await ready.ask("/admin/v1/prices", "POST", json=gift))[0] == 201
    unlisted = {**NEW, "model": "our-own-fine-tune", "input_per_million_usd": "0.001"}
    assert (await ready.ask("/admin/v1/prices", "POST", json=unlisted))[0] == 201


async def test_lists_go_on_over_names_of_two_parts(ready: Admin) -> None:
    for model in ("gpt-4o", "gpt-4o-mini", "o3"):
        body = {**NEW, "model": model, "is_unusual": True}
        assert (await ready.ask("/admin/v1/prices", "POST", json=body))[0] == 201
    seen: list[str] = []
    path = "/admin/v1/prices?limit=2"
    while path:
        _, page = await ready.ask(path)
        seen += [each["model"] for each in page["items"]]
        cursor = page["next_cursor"]
        path = f"/admin/v1/prices?limit=2&cursor={cursor}" if cursor else ""
    assert seen == ["gpt-4o", "gpt-4o-mini", "o3"]
