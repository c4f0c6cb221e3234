"""/admin/v1/tiers: what tenants are sold by, as the operator's data says."""

from pydantic import BaseModel

from admin_api.calls import Answer, Call, Route
from admin_api.permissions import Permission
from config.limit_model import Usd


class Tier(BaseModel):
    """A tier; past `upgrade_above_usd` in a month the next one is suggested."""

    name: str
    entitlements: tuple[str, ...]
    upgrade_above_usd: Usd | None


class Ladder(BaseModel):
    """All tiers, from the lowest."""

    items: list[Tier]


async def list_all(call: Call) -> Answer:
    """The ladder, from the lowest."""
    tiers = call.context.tiers()
    return Answer(Ladder(items=[Tier(name=name, **dict(tier)) for name, tier in tiers.items()]))


ROUTES = (
    Route("GET", "/admin/v1/tiers", list_all, Permission.catalogue_read, "List the tiers",
          answer=Ladder),
)  # fmt: skip
