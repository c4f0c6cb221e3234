"""/admin/v1/tiers, and what a tenant's tier includes."""

from tests.admin_api.conftest import Admin


async def test_the_ladder_is_shown_and_a_tenant_has_its_rung(admin: Admin) -> None:
    status, ladder = await admin.ask("/admin/v1/tiers")
    assert (status, [each["name"] for each in ladder["items"]]) == (
        200, ["free", "early", "mid", "enterprise"],
    )  # fmt: skip
    rungs = {each["name"]: each for each in ladder["items"]}
    assert rungs["enterprise"]["upgrade_above_usd"] is None
    assert "." not in rungs["free"]["upgrade_above_usd"]
    _, made = await admin.ask("/admin/v1/tenants", "POST", json={"name": "acme", "tier": "mid"})
    assert made["entitlements"] == rungs["mid"]["entitlements"]
    _, changed = await admin.ask("/admin/v1/tenants/acme", "PATCH", json={"tier": "enterprise"})
    assert changed["entitlements"] == rungs["enterprise"]["entitlements"]


async def test_the_next_tier_is_suggested_by_what_was_spent(admin: Admin) -> None:
    made = {}
    for name in ("acme", "other"):
        _, made[name] = await admin.ask("/admin/v1/tenants", "POST", json={"name": name})
    assert (made["acme"]["suggested_tier"], made["other"]["suggested_tier"]) == ("early", None)
    _, changed = await admin.ask("/admin/v1/tenants/acme", "PATCH", json={"tier": "early"})
    assert changed["suggested_tier"] is None
