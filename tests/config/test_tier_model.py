"""A tier as the operator writes it."""

import pytest
from pydantic import ValidationError

from config.tier_model import TIER_NAMES, TierConfig


def test_tiers_go_from_the_lowest() -> None:
    assert TIER_NAMES == ("free", "early", "mid", "enterprise")


def test_an_entitlement_is_a_word() -> None:
    assert TierConfig(entitlements=("full", "custom")).upgrade_above_usd is None
    with pytest.raises(ValidationError):
        TierConfig(entitlements=("not a word",))
