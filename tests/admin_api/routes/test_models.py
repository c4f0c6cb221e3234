"""The public models over the API, each with what it costs."""

from tests.admin_api.conftest import Admin


async def test_each_model_is_listed_with_its_targets_prices(admin: Admin) -> None:
    status, page = await admin.ask("/admin/v1/models")
    assert status == 200
    [model] = page["items"]
    assert model["name"] == "house"
    assert [target["upstream"] for target in model["targets"]] == ["openai", "local"]
    _, price = await admin.ask("/admin/v1/prices/house")
    assert price["targets"] == model["targets"]


async def test_a_cursor_goes_on_behind_the_last(admin: Admin) -> None:
    _, page = await admin.ask("/admin/v1/models?cursor=aG91c2U=")
    assert page == {"items": [], "next_cursor": None}
