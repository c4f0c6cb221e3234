"""Decisions: pure, complete, in the right arm, with the shares and propensities they claim."""

import math

import pytest
from hypothesis import given

from optimizer.decide import Draws, RequestFacts, bypass_plan, decide, decide_by_arm
from optimizer.session import draw_arms
from policies.model import CacheRule, Match, Policy, RouteTarget, Rule
from policies.versions import load_policy
from tests.optimizer import samples
from tests.optimizer.samples import FACTS, MODELS, make_facts, make_policy

HALF = Draws(holdout=0.5, canary=0.5)
CACHE = CacheRule()
CHEAP = Rule(
    name="cheap",
    route=(RouteTarget(model="gpt-4o-mini"),),
    fallback=("gpt-4o", "house"),
    cache=CACHE,
    clamp_output_tokens=100,
)


@given(samples.facts, samples.policies, samples.policies, samples.draws)
def test_same_inputs_same_decision(
    facts: RequestFacts, active: Policy, candidate: Policy, draws: Draws
) -> None:
    first = decide(facts, active, candidate, draws, MODELS)
    copies = [Policy.model_validate(each.model_dump()) for each in (active, candidate)]
    assert decide(facts, copies[0], copies[1], draws, set(MODELS)) == first


@given(samples.facts, samples.policies, samples.policies, samples.draws)
def test_a_decision_names_only_servable_models_each_once(
    facts: RequestFacts, active: Policy, candidate: Policy, draws: Draws
) -> None:
    decision = decide(facts, active, candidate, draws, MODELS)
    assert decision.models
    assert set(decision.models) <= set(MODELS)
    assert len(set(decision.models)) == len(decision.models)
    assert 0 < decision.propensity <= 1
    assert decision.policy_revision in {active.revision, candidate.revision}


@given(samples.facts, samples.policies, samples.policies, samples.draws)
def test_only_an_optimised_request_touches_cache_route_or_clamp(
    facts: RequestFacts, active: Policy, candidate: Policy, draws: Draws
) -> None:
    decision = decide(facts, active, candidate, draws, MODELS)
    if decision.arm in {"holdout", "none"}:
        assert decision.cache == bypass_plan(decision.reasons[0])
        assert decision.models[0] == facts.model
        assert decision.clamp_output_tokens is None


@given(samples.facts, samples.policies, samples.draws)
def test_without_a_candidate_nobody_is_in_the_canary(
    facts: RequestFacts, active: Policy, draws: Draws
) -> None:
    decision = decide(facts, active, None, draws, MODELS)
    assert decision.arm != "canary"
    assert decision.policy_revision == active.revision


def test_the_first_matching_rule_decides() -> None:
    rules = (
        Rule(name="tools", match=Match(tools=True)),
        Rule(name="first", clamp_output_tokens=7),
        Rule(name="second", clamp_output_tokens=9),
    )
    decision = decide(FACTS, make_policy(*rules), None, HALF, MODELS)
    assert (decision.rule, decision.clamp_output_tokens) == ("first", 7)


def test_no_matching_rule_leaves_the_request_as_it_is() -> None:
    policy = make_policy(Rule(name="other", match=Match(models=("house",)), cache=CACHE))
    decision = decide(FACTS, policy, None, HALF, MODELS)
    assert decision.arm == "treated"
    assert decision.propensity == 1
    assert (decision.rule, decision.models, decision.reasons) == ("", ("gpt-4o",), ())
    assert decision.cache == bypass_plan("no_rule")


def test_a_routed_request_falls_back_along_the_chain() -> None:
    decision = decide(FACTS, make_policy(CHEAP), None, HALF, MODELS)
    assert decision.models == ("gpt-4o-mini", "gpt-4o", "house")
    assert decision.reasons == ("routed:gpt-4o-mini",)
    assert decision.cache.reads


def test_unknown_targets_and_fallbacks_are_skipped_with_a_reason() -> None:
    decision = decide(FACTS, make_policy(CHEAP), None, HALF, {"gpt-4o"})
    assert decision.models == ("gpt-4o",)
    assert decision.reasons == ("route_target_unknown:gpt-4o-mini", "fallback_unknown:house")


def test_the_holdout_keeps_only_its_failover() -> None:
    policy = make_policy(CHEAP, holdout_share=0.25)
    decision = decide(FACTS, policy, None, Draws(0.2499, 0.0), MODELS)
    assert (decision.arm, decision.propensity) == ("holdout", 0.25)
    assert decision.models == ("gpt-4o", "house")
    assert decision.cache == bypass_plan("holdout")
    assert decision.clamp_output_tokens is None
    assert decide(FACTS, policy, None, Draws(0.25, 0.0), MODELS).arm == "treated"


def test_a_caller_who_opts_out_gets_exactly_the_requested_model() -> None:
    policy = make_policy(CHEAP, holdout_share=1.0)
    decision = decide(make_facts(is_no_optimize=True), policy, None, HALF, MODELS)
    assert (decision.arm, decision.propensity) == ("none", 1.0)
    assert (decision.models, decision.reasons) == (("gpt-4o",), ("no_optimize",))


def test_a_rule_may_opt_out_and_still_fail_over() -> None:
    rule = CHEAP.model_copy(update={"no_optimize": True})
    decision = decide(FACTS, make_policy(rule), None, HALF, MODELS)
    assert decision.arm == "treated"
    assert decision.models == ("gpt-4o", "house")
    assert decision.cache == bypass_plan("rule_no_optimize")


def test_the_canary_follows_the_candidate() -> None:
    active = make_policy(holdout_share=0.2, canary_share=0.5)
    candidate = make_policy(CHEAP, description="next")
    decision = decide(FACTS, active, candidate, Draws(0.9, 0.49), MODELS)
    assert (decision.arm, decision.policy_revision) == ("canary", candidate.revision)
    assert decision.propensity == pytest.approx(0.8 * 0.5)
    assert decide(FACTS, active, candidate, Draws(0.9, 0.5), MODELS).arm == "treated"


@given(samples.shares, samples.shares)
def test_propensities_of_all_arms_sum_to_one(holdout: float, canary: float) -> None:
    active = make_policy(holdout_share=holdout, canary_share=canary)
    points = (Draws(0.0, 0.999_999), Draws(0.999_999, 0.0), Draws(0.999_999, 0.999_999))
    seen = [decide(FACTS, active, make_policy(), each, MODELS) for each in points]
    by_arm = {each.arm: each.propensity for each in seen}
    missing = {"holdout": holdout, "canary": canary, "treated": (1 - holdout) * (1 - canary)}
    gone = [arm for arm in missing if arm not in by_arm]
    assert sum(by_arm.values()) == pytest.approx(1, abs=2e-6 if gone else 1e-9)


@pytest.mark.parametrize(
    ("requested", "limit", "expected"),
    [(0, 100, 100), (101, 100, 100), (100, 100, None), (5, 100, None), (0, None, None)],
)
def test_a_clamp_only_lowers(requested: int, limit: int | None, expected: int | None) -> None:
    policy = make_policy(Rule(name="clamp", clamp_output_tokens=limit))
    facts = make_facts(max_output_tokens=requested)
    assert decide(facts, policy, None, HALF, MODELS).clamp_output_tokens == expected


def test_embeddings_are_never_clamped() -> None:
    policy = make_policy(Rule(name="clamp", clamp_output_tokens=10))
    facts = make_facts(endpoint="embeddings")
    assert decide(facts, policy, None, HALF, MODELS).clamp_output_tokens is None


def test_shares_over_many_sessions_are_what_the_policy_says() -> None:
    rule = Rule(
        name="split",
        route=(RouteTarget(model="gpt-4o-mini", weight=3), RouteTarget(model="house")),
    )
    active = make_policy(rule, holdout_share=0.1, canary_share=0.2)
    candidate = make_policy(rule, description="next")
    sessions = 20_000
    counts: dict[tuple[str, str, float], int] = {}
    for index in range(sessions):
        draws = draw_arms(b"holdout-salt", b"canary-salt", "acme", f"session-{index}")
        decision = decide(FACTS, active, candidate, draws, MODELS)
        cell = (decision.arm, decision.models[0], decision.propensity)
        counts[cell] = counts.get(cell, 0) + 1
        assert decide(FACTS, active, candidate, draws, MODELS) == decision
    expected = {
        ("holdout", "gpt-4o"): 0.1,
        ("canary", "gpt-4o-mini"): 0.9 * 0.2 * 0.75,
        ("canary", "house"): 0.9 * 0.2 * 0.25,
        ("treated", "gpt-4o-mini"): 0.9 * 0.8 * 0.75,
        ("treated", "house"): 0.9 * 0.8 * 0.25,
    }
    assert {(arm, model) for arm, model, _ in counts} == set(expected)
    for (arm, model, _), count in counts.items():
        assert_share(count, sessions, expected[arm, model])


def assert_share(count: int, total: int, share: float) -> None:
    """Within 4.5 standard deviations of the binomial: about 1 in 150,000 by chance."""
    assert abs(count - total * share) <= 4.5 * math.sqrt(total * share * (1 - share))


@pytest.mark.parametrize("name", ["passthrough", "balanced"])
def test_shipped_policies_that_substitute_no_model(name: str) -> None:
    policy = load_policy(name)
    for model in MODELS:
        decision = decide(make_facts(model=model), policy, None, HALF, MODELS)
        assert decision.models == (model,)
        assert decision.cache.reads == (name == "balanced")


def test_passthrough_holds_nobody_out() -> None:
    decision = decide(FACTS, load_policy("passthrough"), None, Draws(0.0, 0.0), MODELS)
    assert (decision.arm, decision.propensity, decision.rule) == ("treated", 1.0, "")


def test_cheapest_asks_the_sibling_first_and_the_requested_model_next() -> None:
    policy = load_policy("cheapest")
    assert decide(FACTS, policy, None, HALF, MODELS).models == ("gpt-4o-mini", "gpt-4o")
    pinned = make_facts(model="gpt-4o-2024-08-06")
    assert decide(pinned, policy, None, HALF, MODELS).models == ("gpt-4o-2024-08-06",)
    held_out = decide(FACTS, policy, None, Draws(0.01, 0.5), MODELS)
    assert (held_out.arm, held_out.models) == ("holdout", ("gpt-4o",))


@given(samples.facts, samples.policies, samples.draws, samples.facts)
def test_what_is_kept_by_arm_is_what_would_be_decided(
    facts: RequestFacts, active: Policy, draws: Draws, other: RequestFacts
) -> None:
    """Requests that differ only in size, bound and count share a kept decision."""
    kept = decide_by_arm(facts, active, MODELS)
    alike = facts._replace(
        prompt_bytes=other.prompt_bytes, max_output_tokens=other.max_output_tokens, n=other.n
    )
    if kept is not None:
        is_held_out = draws.holdout < active.holdout_share
        assert kept[is_held_out] == decide(alike, active, None, draws, MODELS)


def test_a_route_a_bound_or_a_size_is_decided_each_time() -> None:
    plain = Rule(name="plain", cache=CACHE)
    assert decide_by_arm(FACTS, make_policy(plain), MODELS) is not None
    assert decide_by_arm(FACTS, make_policy(), MODELS) is not None
    for change in (
        {"match": Match(min_prompt_bytes=1)},
        {"route": (RouteTarget(model="house"),)},
        {"clamp_output_tokens": 5},
    ):
        rule = plain.model_copy(update=change)
        assert decide_by_arm(FACTS, make_policy(rule), MODELS) is None
