"""What a model costs, over the admin API."""

from tests.admin_api.conftest import Admin


async def test_a_public_name_is_explained_target_by_target(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/prices/house")
    assert status == 200
    listed, own = document["targets"]
    assert (listed["upstream"], listed["model"]) == ("openai", "gpt-4o-mini")
    assert (listed["state"], listed["source"], listed["provider"]) == ("agreed", "book", "openai")
    assert (listed["host"], listed["usd_per_million"]["input"]) == ("api.openai.com", "0.15")
    assert (own["upstream"], own["model"], own["state"]) == ("local", "llama", "unknown")
    assert own["reason"] == "127.0.0.1 is a private host without a declared price"
    assert own["usd_per_million"] == {}
    assert document["rows"][0] == "house: 2 targets, tried in this order"


async def test_a_price_with_its_sources(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/prices/openai/gpt-4o-mini")
    assert status == 200
    assert document["model"] == "openai/gpt-4o-mini"
    assert len(document["price_book"]) == 64
    assert document["rows"][0].startswith("openai/gpt-4o-mini: agreed")
    assert document["targets"] == []
    assert "no public model here" in document["rows"][-1]


async def test_an_unknown_model_is_unknown_and_near_names_are_given(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/prices/gpt-4o-minni")
    assert status == 200
    assert "unknown" in document["rows"][0]
    assert "gpt-4o-mini" in document["rows"][1]


async def test_the_near_names_are_public_ones_first(admin: Admin) -> None:
    _, document = await admin.ask("/admin/v1/prices/hous")
    assert "did you mean house?" in document["rows"][1]
