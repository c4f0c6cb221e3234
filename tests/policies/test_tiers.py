"""The ladder of tiers: shipped, and changed by the operator tier by tier."""

from decimal import Decimal
from itertools import pairwise

from config.tier_model import TIER_NAMES, TierConfig
from policies.tiers import load_tiers, suggest_tier


def test_the_shipped_ladder_climbs() -> None:
    tiers = load_tiers({})
    assert tuple(tiers) == TIER_NAMES
    held = [set(tier.entitlements) for tier in tiers.values()]
    assert all(lower < higher for lower, higher in pairwise(held))
    bounds = [tier.upgrade_above_usd for tier in tiers.values()]
    assert bounds[-1] is None
    known = [bound for bound in bounds if bound is not None]
    assert known == sorted(known)


def test_a_declared_tier_replaces_the_shipped_one() -> None:
    own = TierConfig(entitlements=("everything",))
    tiers = load_tiers({"free": own})
    assert tiers["free"] is own
    assert tiers["early"] == load_tiers({})["early"]


def test_the_next_tier_is_suggested_above_the_bound() -> None:
    tiers = load_tiers({"early": TierConfig(entitlements=("basic",), upgrade_above_usd=Decimal(5))})
    assert suggest_tier(tiers, "early", 5 * 10**12) is None
    assert suggest_tier(tiers, "early", 5 * 10**12 + 1) == "mid"
    assert suggest_tier(tiers, "enterprise", 10**18) is None
    assert suggest_tier(tiers, "unheard-of", 10**18) is None
