"""The ladder of tiers in force: the shipped one, with what apex.yaml says otherwise.

Read by the control process at each reload; shown by the admin API.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from config.tier_model import TIER_NAMES, TierConfig, TierName
from config.yaml_loading import read_yaml

SHIPPED_PATH = Path(__file__).parent / "tiers.yaml"

Tiers = Mapping[TierName, TierConfig]


def load_tiers(declared: Tiers) -> Tiers:
    """Every tier, from the lowest; a declared one replaces the shipped one whole."""
    data = read_yaml(SHIPPED_PATH, "restore it from the release").data
    shipped = TypeAdapter(dict[TierName, TierConfig]).validate_python(data)
    return {name: declared.get(name, shipped[name]) for name in TIER_NAMES}
