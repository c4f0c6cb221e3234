"""The tiers tenants are sold by, as the operator writes them under `tiers` in apex.yaml.

The shipped ladder is policies/tiers.yaml; policies.tiers puts the operator's own over it.
"""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from config.limit_model import Usd

TierName = Literal["free", "early", "mid", "enterprise"]
TIER_NAMES: tuple[TierName, ...] = get_args(TierName)  # from the lowest
Entitlement = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


class TierConfig(BaseModel):
    """What a tier includes, and what a tenant spends when the next one would suit it better."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entitlements: tuple[Entitlement, ...] = Field(
        description="What it includes: basic, standard, advanced, full, or words of your own."
    )
    upgrade_above_usd: Usd | None = Field(
        default=None, description="Spend of a month that suggests the next tier; left out: never."
    )
