"""The list of models: point 30 of the wire list."""

import time
from dataclasses import replace

import pytest

from policies.snapshot import Target
from proxy.errors import GatewayError
from proxy.models import (
    anthropic_list,
    gemini_list,
    list_document,
    model_document,
    unknown_model,
)
from proxy.scopes import visible_models
from tests.proxy.samples import key_record

MODELS = {
    "gpt-4o-mini": (Target("openai", "gpt-4o-mini"),),
    "meta/llama-3": (Target("openai", "llama"),),
    "gpt-4o": (Target("openai", "gpt-4o"), Target("openai", "x")),
}
BUILT_AT = 1.5


def test_the_list_is_in_order_and_in_shape() -> None:
    document = list_document(MODELS, BUILT_AT)
    assert document["object"] == "list"
    assert [model["id"] for model in document["data"]] == ["gpt-4o", "gpt-4o-mini", "meta/llama-3"]
    assert document["data"][0] == {
        "id": "gpt-4o",
        "object": "model",
        "created": 1,
        "owned_by": "openai",
    }


def test_names_with_slashes_are_names() -> None:
    assert model_document(MODELS, "meta/llama-3", BUILT_AT)["id"] == "meta/llama-3"


@pytest.mark.parametrize("name", ["gpt-4o-mni", "GPT-4O-MINI"])
def test_an_unknown_model_gets_a_404_with_its_neighbours(name: str) -> None:
    with pytest.raises(GatewayError) as caught:
        model_document(MODELS, name, BUILT_AT)
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "gpt-4o-mini" in error.message


@pytest.mark.parametrize(
    "name", ["gpt-4o ", "../gpt-4o", "gpt-4\u043e", "gpt-4o#", "GPT-4O", "gpt-4o@x", ""]
)
def test_only_the_exact_name_is_served(name: str) -> None:
    """B4: paths, fragments and look-alike letters name no model."""
    with pytest.raises(GatewayError):
        model_document(MODELS, name, BUILT_AT)


def test_a_name_like_no_other_points_to_the_list() -> None:
    assert "GET /v1/models" in unknown_model("zzzzzz", MODELS).message


def test_a_huge_name_is_neither_searched_nor_repeated() -> None:
    names = [f"model-{number}" for number in range(2000)]
    began = time.process_time()
    error = unknown_model("m" * 50_000_000, names)
    assert time.process_time() - began < 2.0
    assert len(error.message) < 1000


def test_control_characters_in_a_name_are_escaped() -> None:
    assert "\n" not in unknown_model("a\nSeverity: none", MODELS).message


def test_a_key_sees_the_models_it_may_use_in_every_shape() -> None:
    allowed = ["gpt-4o", "meta/llama-3"]
    key = replace(key_record(), models=("gpt-4o", "meta/*"))
    models = {name: MODELS[name] for name in visible_models(MODELS, key)}
    assert [each["id"] for each in list_document(models, BUILT_AT)["data"]] == allowed
    assert [each["id"] for each in anthropic_list(models, BUILT_AT)["data"]] == allowed
    names = [each["name"] for each in gemini_list(models)["models"]]
    assert names == [f"models/{name}" for name in allowed]
    with pytest.raises(GatewayError) as caught:
        model_document(models, "gpt-4o-mini", BUILT_AT)
    assert "gpt-4o-mini" not in caught.value.message.partition(" is not served")[2]
