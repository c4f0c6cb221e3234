"""Policies by name and inline, and the hints for what is wrong with them."""

import pytest

from config.errors import ConfigError
from policies.versions import list_default_names, load_policy, revision_of


def test_three_policies_are_shipped_and_all_load() -> None:
    assert list_default_names() == ["balanced", "cheapest", "passthrough"]
    for name in list_default_names():
        policy = load_policy(name)
        assert policy.name == name
        assert policy.description
        assert revision_of(policy) == load_policy(name).revision


def test_an_inline_document_is_a_policy_too() -> None:
    document = {"name": "mine", "rules": [{"name": "r", "cache": {"scope": "tenant"}}]}
    policy = load_policy(document)
    assert revision_of(policy).startswith("mine@")
    assert policy.rules[0].cache is not None
    assert policy.rules[0].cache.scope == "tenant"


def test_passthrough_has_no_effect_and_holds_nobody_out() -> None:
    policy = load_policy("passthrough")
    assert (policy.rules, policy.holdout_share, policy.canary_share) == ((), 0, 0)


def test_balanced_substitutes_no_model_and_shares_answers_with_nobody_else() -> None:
    policy = load_policy("balanced")
    assert policy.holdout_share == 0.05
    for rule in policy.rules:
        assert not rule.route
        assert not rule.fallback
        assert rule.cache is not None
        assert (rule.cache.scope, rule.cache.when) == ("user", "deterministic")


def test_cheapest_always_falls_back_to_what_was_asked_for() -> None:
    policy = load_policy("cheapest")
    routed = [rule for rule in policy.rules if rule.route]
    assert routed
    for rule in routed:
        assert rule.match.models == rule.fallback
        assert rule.match.endpoints == ("chat",)
    assert policy.rules[-1].cache == load_policy("balanced").rules[0].cache


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("balancd", "unknown policy 'balancd'", "did you mean balanced?"),
        ("../secrets", "unknown policy '../secrets'", "known names: balanced"),
        ({"rules": []}, "policy 'inline':1: name is missing", "add the key name"),
        ({"name": "p", "holdout_shar": 1}, "policy 'p':1: unknown key holdout_shar", "did you"),
    ],
)
def test_mistakes_are_named_with_a_hint(
    source: str | dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_policy(source)
    assert raised.value.message.startswith(message)
    assert hint in raised.value.hint
