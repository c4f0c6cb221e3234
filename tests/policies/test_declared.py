"""What apex.yaml says about policies and prices, refused at its line and in our words."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from policies.declared import load_declared

HEAD = """upstreams: {mock: {kind: mock}}
default_upstream: mock
tenants:
  acme:
    keys: [{name: app}]
"""
PRICES = """upstreams: {mock: {kind: mock}}
models:
  one: {upstreams: [{upstream: mock, model: m}], price: PRICE}
  two:
    upstreams: [{upstream: mock, model: m, price: PRICE}]
"""


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "apex.yaml"
    path.write_text(text)
    load_declared(path, {})


@pytest.mark.parametrize(
    ("policy", "message", "hint"),
    [
        ("policy: balancd", "6: tenants.acme.policy: unknown policy 'balancd'", "did you mean bal"),
        ("policy:\n      rulez: []", "7: unknown key tenants.acme.policy.rulez", "mean rules?"),
        # Keys of other places are no suggestion: `models` belongs into `match`.
        (
            "policy:\n      modles: []",
            "7: unknown key tenants.acme.policy.modles",
            "known names: canary_share, description",
        ),
        (
            "policy:\n      rules:\n      - name: r\n        match: {modles: [x]}",
            "9: unknown key tenants.acme.policy.rules[0].match.modles",
            "did you mean models?",
        ),
        (
            "policy:\n      rules:\n      - match: {}",
            "8: tenants.acme.policy.rules[0].name is missing",
            "add the key name",
        ),
        (
            "policy:\n      holdout_share: 2",
            "7: tenants.acme.policy.holdout_share: must be at most 1",
            "correct the number",
        ),
        (
            "policy:\n      rules:\n      - name: r\n        cache: {scope: all}",
            "9: tenants.acme.policy.rules[0].cache.scope: must be 'user', 'key' or 'tenant'",
            "one of these",
        ),
        (
            "policy:\n      rules:\n      - name: r\n        route:\n        - model: gpt-4o-minni",
            "10: tenants.acme.policy.rules[0].route[0].model: unknown model 'gpt-4o-minni'",
            "gpt-4o-mini",
        ),
        (
            "policy:\n      rules:\n      - name: r\n        fallback: [gtp-4o]",
            "9: tenants.acme.policy.rules[0].fallback[0]: unknown model 'gtp-4o'",
            "gpt-4o",
        ),
    ],
)
def test_policies_that_cannot_work_are_refused_at_their_line(
    tmp_path: Path, policy: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, f"{HEAD}    {policy}\n")
    assert raised.value.message.startswith(f"{tmp_path}/apex.yaml:{message}")
    assert hint in raised.value.hint


def test_two_prices_of_one_target_are_refused_at_the_second(tmp_path: Path) -> None:
    text = PRICES.replace("PRICE", "{input_per_million_usd: 1, output_per_million_usd: 2}", 1)
    text = text.replace("PRICE", "{input_per_million_usd: 1, output_per_million_usd: 3}")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    place = f"{tmp_path}/apex.yaml:5: models.two.upstreams[0].price: "
    assert raised.value.message == f"{place}'m' on upstream 'mock' has two prices"


def test_what_works_is_taken(tmp_path: Path) -> None:
    policy = "policy: {rules: [{name: r, route: [{model: gpt-4o-mini}], fallback: [gpt-4o]}]}"
    load(tmp_path, f"{HEAD}    {policy}\n")
    load(tmp_path, f"{HEAD}    policy: cheapest\n")
    assert load_declared(None, {}).default_upstream == "mock"
