"""The first source, on a small file in its form and on the installed one."""

import json
import subprocess
import sys

from config.prices.document import TOOLS_ENTRY
from config.prices.listing import BandKey
from config.prices.litellm_listing import (
    find_price_file,
    list_models,
    names_of_other_modes,
    parse_price_file,
)
from config.prices.providers import BookProvider

ACME = BookProvider("acme", ("acme", "acme_two"), "acme-ai", is_regional=True)
FILE = json.dumps(
    {
        "sample_spec": {"litellm_provider": "one of many", "mode": "one of: chat, ..."},
        "acme/one": {
            "litellm_provider": "acme",
            "mode": "chat",
            "input_cost_per_token": 2.5e-06,
            "output_cost_per_token": 1e-05,
            "cache_creation_input_token_cost": 0.0,
            "cache_read_input_token_cost": 1.25e-06,
            "input_cost_per_token_batches": 1.25e-06,
            "input_cost_per_token_above_200k_tokens": 5e-06,
            "input_cost_per_token_above_200k_tokens_priority": 9e-06,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1e-05,
            "input_cost_per_token_ultrafast": 1e-03,
            "max_input_tokens": 128000,
            "max_output_tokens": 16384,
            "supports_function_calling": True,
            "supports_vision": False,
        },
        "one": {
            "litellm_provider": "acme_two",
            "mode": "chat",
            "input_cost_per_token": 7e-06,
            "output_cost_per_token": 7e-06,
        },
        "acme/eu/one": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 3e-06},
        "acme/free": {
            "litellm_provider": "acme",
            "mode": "chat",
            "input_cost_per_token": 0.0,
            "output_cost_per_token": 0,
        },
        "acme/painter": {"litellm_provider": "acme", "mode": "image_generation"},
        "acme/hd/512-x-512/painter": {
            "litellm_provider": "acme",
            "mode": "image_generation",
            "input_cost_per_image": 0.02,
        },
        "acme/film": {"litellm_provider": "acme", "mode": "video_generation"},
        "acme/container": {
            "litellm_provider": "acme",
            "mode": "chat",
            "code_interpreter_cost_per_session": 0.03,
        },
        "acme/near": {
            "litellm_provider": "acme",
            "mode": "chat",
            "input_cost_per_token": 1e-06,
            "regional_processing_uplift_multiplier_eu": 1.1,
        },
        "other/one": {"litellm_provider": "other", "mode": "chat", "input_cost_per_token": 1e-06},
    }
).encode()


def test_models_are_listed_by_the_upstreams_own_name() -> None:
    models = list_models(parse_price_file(FILE), ACME)

    assert set(models) == {"one", "painter", "near", TOOLS_ENTRY}
    assert models["one"].name == "acme/one"
    assert models["one"].limits == {"context": 128000, "max_output": 16384, "tools": True}


def test_every_tier_and_threshold_is_a_band() -> None:
    bands = list_models(parse_price_file(FILE), ACME)["one"].bands

    assert bands[BandKey()] == {"input": 2_500_000, "output": 10_000_000, "cache_read": 1_250_000}
    assert bands[BandKey("batch")]["input"] == 1_250_000
    assert bands[BandKey("standard", 200_000)]["cache_write_1h"] == 10_000_000
    assert bands[BandKey("priority", 200_000)]["input"] == 9_000_000
    assert bands[BandKey(region="eu")] == {"input": 3_000_000}
    assert len(bands) == 5


def test_a_region_may_take_a_share_more() -> None:
    bands = list_models(parse_price_file(FILE), ACME)["near"].bands

    assert bands == {BandKey(): {"input": 1_000_000}, BandKey(region="eu"): {"input": 1_100_000}}


def test_images_are_listed_by_size_and_tools_under_a_name_of_their_own() -> None:
    models = list_models(parse_price_file(FILE), ACME)

    assert models["painter"].units == {"image:512x512:hd": 20 * 10**9}
    assert models[TOOLS_ENTRY].units == {"code_interpreter_sessions": 30 * 10**9}


def test_a_zero_is_a_gap_and_never_a_price() -> None:
    models = list_models(parse_price_file(FILE), ACME)

    assert "cache_write_5m" not in models["one"].bands[BandKey()]
    assert "free" not in models


def test_models_of_other_modes_are_named() -> None:
    assert names_of_other_modes(parse_price_file(FILE), ACME) == {"film"}


def test_the_price_file_is_found_without_importing_litellm() -> None:
    code = (
        "import sys; from config.prices.litellm_listing import find_price_file;"
        "find_price_file(); assert 'litellm' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
    path, version = find_price_file()
    assert path.is_file()
    assert version
