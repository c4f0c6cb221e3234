"""What a model costs, over the admin API."""

from tests.admin_api.conftest import Admin


async def test_a_price_with_its_sources(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/prices/openai/gpt-4o-mini")
    assert status == 200
    assert document["model"] == "openai/gpt-4o-mini"
    assert len(document["price_book"]) == 64
    assert document["rows"][0].startswith("openai/gpt-4o-mini: agreed")


async def test_an_unknown_model_is_unknown_and_near_names_are_given(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/prices/gpt-4o-minni")
    assert status == 200
    assert "unknown" in document["rows"][0]
    assert "gpt-4o-mini" in document["rows"][1]
