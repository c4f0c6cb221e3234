"""THE ordered list of steps of a decision: arm, rule, models, cache, clamp. Called by the proxy.

Pure: the same facts, policies and draws give the same decision, so a past one can be replayed.
"""

from collections.abc import Container
from typing import NamedTuple

from optimizer.caching import plan_cache
from optimizer.decision import Arm, CachePlan, Decision, Draws, RequestFacts, bypass_plan
from optimizer.routing import chain_models, find_rule, pick_route, shortlist
from policies.model import Policy, Rule

# Dialects with a field of their own that bounds the output.
BOUNDED_ENDPOINTS = frozenset({"chat", "responses", "messages", "completions"})

__all__ = [
    "Arm",
    "CachePlan",
    "Decision",
    "Draws",
    "RequestFacts",
    "bypass_plan",
    "decide",
    "decide_by_arm",
]


def decide(
    facts: RequestFacts,
    active: Policy,
    candidate: Policy | None,
    draws: Draws,
    known_models: Container[str],
) -> Decision:
    """What to do with one request. `known_models` holds the public names that can be served."""
    arm = _assign_arm(facts, active, candidate, draws)
    policy = candidate if arm.name == "canary" and candidate is not None else active
    rule = find_rule(policy, facts)
    untouched = _why_untouched(arm.name, rule, facts)
    models, reasons = _choose_models(facts, rule, arm, untouched, known_models)
    # By position, in the order of Decision: names would cost as much as the decision.
    return Decision(
        arm.name,
        arm.propensity,
        policy.revision,
        rule.name if rule else "",
        models,
        bypass_plan(untouched) if untouched else plan_cache(facts, rule.cache if rule else None),
        None if untouched or rule is None else _clamp(facts, rule),
        (untouched, *reasons) if untouched else tuple(reasons),
    )


def decide_by_arm(
    facts: RequestFacts, active: Policy, known_models: Container[str]
) -> tuple[Decision, Decision] | None:
    """What to do past the holdout and in it, where nothing else of a request makes a difference.

    None where its size, its output bound or its draw's place among routes count, too. Then, or
    with a candidate on trial, `decide` must be asked each time.
    """
    for rule in shortlist(active, facts):
        match = rule.match
        if match.min_prompt_bytes is not None or match.max_prompt_bytes is not None:
            return None
        if rule.route or rule.clamp_output_tokens is not None:
            return None
    within = decide(facts, active, None, Draws(-1.0, 0.0), known_models)
    if active.holdout_share >= 1:  # nothing is past it
        return within, within
    return decide(facts, active, None, Draws(active.holdout_share, 0.0), known_models), within


class _Assignment(NamedTuple):
    name: Arm
    propensity: float
    route_point: float  # [0, 1), independent of the arm


def _assign_arm(
    facts: RequestFacts, active: Policy, candidate: Policy | None, draws: Draws
) -> _Assignment:
    if facts.is_no_optimize:
        # The caller took the request out of the experiment: it counts in neither arm.
        return _Assignment("none", 1.0, 0.0)
    holdout = active.holdout_share
    if draws.holdout < holdout:
        return _Assignment("holdout", holdout, 0.0)
    # Given that the draw is past the holdout share, the rest of it is uniform again.
    route_point = (draws.holdout - holdout) / (1 - holdout)
    canary = active.canary_share if candidate is not None else 0.0
    if draws.canary < canary:
        return _Assignment("canary", (1 - holdout) * canary, route_point)
    return _Assignment("treated", (1 - holdout) * (1 - canary), route_point)


def _why_untouched(arm: Arm, rule: Rule | None, facts: RequestFacts) -> str:
    """Why nothing may be optimised, as one word; "" when the rule applies in full."""
    if facts.is_pinned:
        return "pinned"
    if arm == "none":
        return "no_optimize"
    if arm == "holdout":
        return "holdout"
    return "rule_no_optimize" if rule is not None and rule.no_optimize else ""


def _choose_models(
    facts: RequestFacts,
    rule: Rule | None,
    arm: _Assignment,
    untouched: str,
    known_models: Container[str],
) -> tuple[tuple[str, ...], list[str]]:
    if rule is None or arm.name == "none" or facts.is_pinned:
        return (facts.model,), []
    if not rule.fallback and (untouched or not rule.route):
        return (facts.model,), []
    routed = ""
    reasons: list[str] = []
    if not untouched:
        routed, reasons = pick_route(rule.route, arm.route_point, known_models)
    if routed and routed != facts.model:
        reasons.append(f"routed:{routed}")
    # Reliability is on in every arm: a session held out of savings is not held out of failover.
    models, skipped = chain_models(routed or facts.model, rule.fallback, known_models)
    return models, reasons + skipped


def _clamp(facts: RequestFacts, rule: Rule) -> int | None:
    """The output bound to write into the request; None when it would change nothing."""
    limit = rule.clamp_output_tokens
    if limit is None or facts.endpoint not in BOUNDED_ENDPOINTS:
        return None
    return limit if facts.max_output_tokens == 0 or facts.max_output_tokens > limit else None
