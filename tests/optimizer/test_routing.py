"""Matching of rules, weighted picks and the chain of models."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.routing import chain_models, find_rule, pick_route
from policies.model import Match, Policy, RouteTarget, Rule
from tests.optimizer.samples import MODELS, make_facts, make_policy, unit


@pytest.mark.parametrize(
    ("match", "facts", "expected"),
    [
        ({}, {}, True),
        ({"models": ["gpt-4o"]}, {"model": "gpt-4o-mini"}, False),
        ({"models": ["gpt-4o*"]}, {"model": "gpt-4o-mini"}, True),
        ({"models": ["*mini"]}, {"model": "gpt-4o-mini"}, True),
        ({"models": ["a", "gpt-*-mini"]}, {"model": "gpt-4o-mini"}, True),
        ({"models": ["ft:m[1]?"]}, {"model": "ft:m[1]?"}, True),
        ({"models": ["m[12]"]}, {"model": "m1"}, False),
        ({"models": ["m.x"]}, {"model": "max"}, False),
        ({"models": ["*"]}, {"model": "a\nb"}, True),
        ({"endpoints": ["embeddings"]}, {"endpoint": "chat"}, False),
        ({"endpoints": ["embeddings", "chat"]}, {"endpoint": "chat"}, True),
        ({"keys": ["batch"]}, {"key_name": "app"}, False),
        ({"keys": ["app"]}, {"key_name": "app"}, True),
        ({"tags": {"a": "1"}}, {"tags": {"a": "1", "b": "2"}}, True),
        ({"tags": {"a": "1", "b": "2"}}, {"tags": {"a": "1"}}, False),
        ({"tags": {"a": "1"}}, {"tags": {"a": "2"}}, False),
        ({"min_prompt_bytes": 10}, {"prompt_bytes": 10}, True),
        ({"min_prompt_bytes": 10}, {"prompt_bytes": 9}, False),
        ({"max_prompt_bytes": 10}, {"prompt_bytes": 10}, True),
        ({"max_prompt_bytes": 10}, {"prompt_bytes": 11}, False),
        ({"streaming": True}, {"is_streaming": False}, False),
        ({"streaming": False}, {"is_streaming": False}, True),
        ({"tools": False}, {"has_tools": True}, False),
        ({"tools": True}, {"has_tools": True}, True),
        ({"max_latency_objective_ms": 500}, {"latency_objective_ms": 0}, False),
        ({"max_latency_objective_ms": 500}, {"latency_objective_ms": 500}, True),
        ({"max_latency_objective_ms": 500}, {"latency_objective_ms": 501}, False),
    ],
)
def test_conditions(match: dict[str, object], facts: dict[str, object], expected: bool) -> None:
    rule = Rule(name="r", match=Match.model_validate(match))
    found = find_rule(Policy(name="p", rules=(rule,)), make_facts(**facts))
    assert (found is rule) is expected


def test_find_rule_takes_the_first_or_none() -> None:
    batch = Rule(name="batch", match=Match(keys=("batch",)))
    policy = make_policy(batch, Rule(name="chat", match=Match(endpoints=("chat",))))
    found = find_rule(policy, make_facts())
    assert found is not None
    assert found.name == "chat"
    assert find_rule(policy, make_facts(key_name="batch")) is batch
    assert find_rule(policy, make_facts(endpoint="embeddings")) is None


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=5), unit)
def test_a_pick_is_always_made_and_follows_the_weights(weights: list[int], point: float) -> None:
    targets = [RouteTarget(model=f"m{i}", weight=weight) for i, weight in enumerate(weights)]
    picked, reasons = pick_route(targets, point, {target.model for target in targets})
    assert reasons == []
    index = int(picked[1:])
    low, high = sum(weights[:index]), sum(weights[: index + 1])
    position = point * sum(weights)
    assert low <= position or math.isclose(low, position)
    assert position < high or math.isclose(high, position)


def test_a_point_that_rounds_up_to_the_end_still_picks_the_last_target() -> None:
    targets = [RouteTarget(model="gpt-4o"), RouteTarget(model="house")]
    assert pick_route(targets, 1.0, MODELS) == ("house", [])


def test_weights_are_shared_among_servable_targets_only() -> None:
    targets = [RouteTarget(model="gone", weight=99), RouteTarget(model="house")]
    assert pick_route(targets, 0.0, MODELS) == ("house", ["route_target_unknown:gone"])
    assert pick_route(targets[:1], 0.0, MODELS) == ("", ["route_target_unknown:gone"])
    assert pick_route([], 0.5, MODELS) == ("", [])


def test_the_chain_names_each_servable_model_once() -> None:
    models, reasons = chain_models("house", ("gpt-4o", "house", "gone", "gpt-4o"), MODELS)
    assert models == ("house", "gpt-4o")
    assert reasons == ["fallback_unknown:gone"]


def test_keys_and_tags_that_no_rule_names_share_what_is_kept() -> None:
    rules = (
        Rule(name="nightly", match=Match(keys=("nightly",)), no_optimize=True),
        Rule(name="search", match=Match(tags={"team": "search"}), no_optimize=True),
        Rule(name="rest"),
    )
    policy = Policy(name="p", rules=rules)
    found = [
        find_rule(policy, make_facts(key_name=key, tags=tags))
        for key in ("nightly", "app-1", "app-2", "")
        for tags in ({}, {"team": "search"}, {"team": "ads"}, {"other": "x"})
    ]
    names = [each.name if each else "" for each in found]
    assert names == ["nightly"] * 4 + ["rest", "search", "rest", "rest"] * 3
    assert len(policy.shortlists) == 6  # by whether the key is named, and the team there is
