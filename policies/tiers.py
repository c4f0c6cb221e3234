"""The ladder of tiers in force: the shipped one, with what apex.yaml says otherwise.

Read by the control process at each reload; shown by the admin API.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from pydantic import TypeAdapter

from config.limit_model import PICO_DECIMALS
from config.tier_model import TIER_NAMES, TierConfig, TierName
from config.yaml_loading import read_yaml

SHIPPED_PATH = Path(__file__).parent / "tiers.yaml"

Tiers = Mapping[TierName, TierConfig]


def load_tiers(declared: Tiers) -> Tiers:
    """Every tier, from the lowest; a declared one replaces the shipped one whole."""
    data = read_yaml(SHIPPED_PATH, "restore it from the release").data
    shipped = TypeAdapter(dict[TierName, TierConfig]).validate_python(data)
    return {name: declared.get(name, shipped[name]) for name in TIER_NAMES}


def suggest_tier(tiers: Tiers, tier: str, spent_picousd: int) -> TierName | None:
    """The next tier for a tenant of this one that spent so much in a month; None: stay."""
    for name, following in pairwise(TIER_NAMES):
        bound = tiers[name].upgrade_above_usd
        if name == tier and bound is not None:
            return following if spent_picousd > int(bound.scaleb(PICO_DECIMALS)) else None
    return None
