"""Request facts, rules and Hypothesis strategies for the tests of optimizer and policies."""

from typing import Any

from hypothesis import strategies as st

from optimizer.decision import Draws, RequestFacts
from policies.model import CacheRule, Match, Policy, RouteTarget, Rule

MODELS = ("gpt-4o", "gpt-4o-mini", "house")

FACTS = RequestFacts(
    endpoint="chat",
    model="gpt-4o",
    key_name="app",
    tags={"team": "search"},
    prompt_bytes=1000,
    is_streaming=False,
    has_tools=False,
    latency_objective_ms=0,
    max_output_tokens=0,
    is_deterministic=True,
    is_no_optimize=False,
    allows_store=True,
    n=1,
    cache_control="",
)


def make_facts(**changes: Any) -> RequestFacts:
    return FACTS._replace(**changes)


def make_policy(*rules: Rule, **changes: Any) -> Policy:
    return Policy(name="p", rules=rules, **changes)


unit = st.floats(0, 1, exclude_max=True, allow_nan=False)
shares = st.floats(0, 1, allow_nan=False)
names = st.sampled_from((*MODELS, "missing"))
draws = st.builds(Draws, holdout=unit, canary=unit)
facts = st.builds(
    RequestFacts,
    endpoint=st.sampled_from(("chat", "embeddings")),
    model=st.sampled_from(MODELS),
    key_name=st.sampled_from(("app", "batch")),
    tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
    prompt_bytes=st.integers(0, 100_000),
    is_streaming=st.booleans(),
    has_tools=st.booleans(),
    latency_objective_ms=st.integers(0, 5000),
    max_output_tokens=st.integers(0, 5000),
    is_deterministic=st.booleans(),
    is_no_optimize=st.booleans(),
    allows_store=st.booleans(),
    n=st.integers(1, 4),
    cache_control=st.sampled_from(("", "no-cache", "no-store", "max-age=5", "max-age=0")),
)
matches = st.builds(
    Match,
    models=st.lists(st.sampled_from((*MODELS, "gpt-*", "*")), max_size=2).map(tuple),
    endpoints=st.lists(st.sampled_from(("chat", "embeddings")), max_size=2).map(tuple),
    keys=st.lists(st.sampled_from(("app", "batch")), max_size=1).map(tuple),
    tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=1),
    min_prompt_bytes=st.none() | st.integers(0, 100_000),
    max_prompt_bytes=st.none() | st.integers(0, 100_000),
    streaming=st.none() | st.booleans(),
    tools=st.none() | st.booleans(),
    max_latency_objective_ms=st.none() | st.integers(1, 5000),
)
rules = st.builds(
    Rule,
    name=st.sampled_from(("one", "two")),
    match=matches,
    route=st.lists(st.builds(RouteTarget, model=names, weight=st.integers(1, 9)), max_size=3).map(
        tuple
    ),
    fallback=st.lists(names, max_size=3).map(tuple),
    cache=st.none()
    | st.builds(
        CacheRule,
        ttl_s=st.integers(1, 86_400),
        scope=st.sampled_from(("user", "key", "tenant")),
        when=st.sampled_from(("deterministic", "always")),
    ),
    clamp_output_tokens=st.none() | st.integers(1, 4096),
    no_optimize=st.booleans(),
)
policies = st.builds(
    Policy,
    name=st.sampled_from(("active", "next")),
    description=st.text(max_size=10),
    holdout_share=shares,
    canary_share=shares,
    rules=st.lists(rules, max_size=3).map(tuple),
)
