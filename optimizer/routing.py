"""Which rule a request falls under and which models it names, in order. Called by decide."""

from collections.abc import Container, Iterable, Iterator

from optimizer.decision import RequestFacts
from policies.model import Match, Policy, RouteTarget, Rule

MOST_SHORTLISTS = 4096


def find_rule(policy: Policy, facts: RequestFacts) -> Rule | None:
    """The first rule of the policy whose conditions all hold.

    All but the prompt's size repeat from request to request: what they leave is kept, so that the
    length of a policy costs nothing.
    """
    size = facts.prompt_bytes
    for rule in shortlist(policy, facts):
        low, high = rule.match.min_prompt_bytes, rule.match.max_prompt_bytes
        if (low is None or size >= low) and (high is None or size <= high):
            return rule
    return None


def shortlist(policy: Policy, facts: RequestFacts) -> tuple[Rule, ...]:
    """The rules that hold for some size of prompt, up to the first that holds for all."""
    # Of key and tags counts what some rule names: thousands of keys then share a few lists.
    key_name = facts.key_name if facts.key_name in policy.named_keys else ""
    tags = [each for each in facts.tags.items() if each[0] in policy.named_tags]
    asked = (
        facts.endpoint, facts.model, key_name, facts.is_streaming, facts.has_tools,
        facts.latency_objective_ms, tuple(tags),
    )  # fmt: skip
    kept: tuple[Rule, ...] | None = policy.shortlists.get(asked)
    if kept is None:
        kept = tuple(_select(policy, facts))
        if len(policy.shortlists) >= MOST_SHORTLISTS:
            policy.shortlists.clear()
        policy.shortlists[asked] = kept
    return kept


def _select(policy: Policy, facts: RequestFacts) -> Iterator[Rule]:
    for rule in policy.rules:
        if is_match(rule.match, facts):
            yield rule
            if rule.match.min_prompt_bytes is None and rule.match.max_prompt_bytes is None:
                return


def is_match(match: Match, facts: RequestFacts) -> bool:
    """True when every condition that is given holds, the prompt's size aside."""
    pattern = match.model_pattern
    return (
        (pattern is None or pattern.fullmatch(facts.model) is not None)
        and (not match.endpoints or facts.endpoint in match.endpoints)
        and (not match.keys or facts.key_name in match.keys)
        and match.tags.items() <= facts.tags.items()
        and match.streaming in (None, facts.is_streaming)
        and match.tools in (None, facts.has_tools)
        and _is_urgent_enough(match.max_latency_objective_ms, facts.latency_objective_ms)
    )


def _is_urgent_enough(limit_ms: int | None, objective_ms: int) -> bool:
    # A request without an objective (0) is in no hurry, so it never matches a bound on hurry.
    return limit_ms is None or 0 < objective_ms <= limit_ms


def pick_route(
    targets: Iterable[RouteTarget], point: float, known_models: Container[str]
) -> tuple[str, list[str]]:
    """The target that covers `point` in [0, 1) by weight, and reasons for the ones passed over.

    Targets nobody can serve are left out before the weights are added up; "" when none is left.
    """
    usable, reasons = [], []
    for target in targets:
        if target.model in known_models:
            usable.append(target)
        else:
            reasons.append(f"route_target_unknown:{target.model}")
    # Integer weights and one multiplication: the same point picks the same target on any machine.
    position = point * sum(target.weight for target in usable)
    for target in usable:
        position -= target.weight
        if position < 0:
            return target.model, reasons
    return (usable[-1].model if usable else ""), reasons


def chain_models(
    first: str, fallback: Iterable[str], known_models: Container[str]
) -> tuple[tuple[str, ...], list[str]]:
    """`first`, then every servable fallback once, in order; and a reason for each one left out."""
    models, reasons = [first], []
    for name in fallback:
        if name not in known_models:
            reasons.append(f"fallback_unknown:{name}")
        elif name not in models:
            models.append(name)
    return tuple(models), reasons
