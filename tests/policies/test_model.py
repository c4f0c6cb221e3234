"""The policy language: strict, frozen, and versioned by content."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.model import Match, Policy, Rule
from tests.optimizer.samples import policies


@given(policies)
def test_a_document_reads_back_as_the_same_policy(policy: Policy) -> None:
    read = Policy.model_validate_json(policy.model_dump_json())
    assert read == policy
    assert read.revision == policy.revision


@given(policies, policies)
def test_equal_revisions_mean_equal_policies(one: Policy, two: Policy) -> None:
    assert (one.revision == two.revision) == (one == two)


@given(policies, st.randoms(use_true_random=False))
def test_the_order_of_a_documents_keys_is_no_new_version(
    policy: Policy, rng: random.Random
) -> None:
    items = list(policy.model_dump().items())
    rng.shuffle(items)
    assert Policy.model_validate(dict(items)).revision == policy.revision


def test_a_revision_names_the_policy_and_its_content() -> None:
    policy = Policy(name="mine")
    name, _, digest = policy.revision.partition("@")
    assert name == "mine"
    assert len(digest) == 12
    assert Policy(name="mine", holdout_share=0.1).revision != policy.revision


def test_leaving_out_a_default_is_the_same_version() -> None:
    spelled_out = Policy(name="mine", holdout_share=0.0, rules=())
    assert spelled_out.revision == Policy(name="mine").revision


@pytest.mark.parametrize(
    "document",
    [
        {"name": "Upper"},
        {"name": ""},
        {"name": "p", "holdout": 0.1},
        {"name": "p", "holdout_share": 1.1},
        {"name": "p", "canary_share": -0.1},
        {"name": "p", "holdout_share": float("nan")},
        {"name": "p", "rules": [{"match": {}}]},
        {"name": "p", "rules": [{"name": "r", "match": {"model": "x"}}]},
        {"name": "p", "rules": [{"name": "r", "match": {"endpoints": ["audio"]}}]},
        {"name": "p", "rules": [{"name": "r", "route": [{"model": "m", "weight": 0}]}]},
        {"name": "p", "rules": [{"name": "r", "cache": {"ttl_s": 0}}]},
        {"name": "p", "rules": [{"name": "r", "cache": {"scope": "world"}}]},
        {"name": "p", "rules": [{"name": "r", "clamp_output_tokens": 0}]},
    ],
)
def test_mistakes_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(document)


def test_a_policy_cannot_be_changed() -> None:
    policy = Policy(name="p")
    with pytest.raises(ValidationError):
        policy.name = "q"  # type: ignore[misc]


def test_no_models_match_every_model() -> None:
    assert Match().model_pattern is None
    assert Rule(name="r").match == Match()
