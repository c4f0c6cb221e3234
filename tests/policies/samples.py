"""Snapshots for the tests: one by hand, and a Hypothesis strategy for all others."""

from typing import Any

from hypothesis import strategies as st

from config.operator_model import CacheConfig, Limits, Timeouts
from config.secrets import KeptKeys
from policies.limits import PERIODS, Budget, Rates, UsageLimits
from policies.model import Policy
from policies.snapshot import (
    Credential,
    KeyRecord,
    OwnUpstream,
    ProjectRecord,
    Snapshot,
    Target,
    TenantRecord,
    Upstream,
    index_by_hmac,
)
from policies.snapshot_signing import SnapshotSigner
from tests.optimizer.samples import policies

SIGNER = SnapshotSigner.make()
UPSTREAM = Upstream(
    name="openai",
    kind="openai",
    base_url="https://api.openai.com/v1",
    api_key="sk-upstream-credential",
    allow_private=False,
    region="",
    stream_usage=True,
    is_simulated=False,
)
KEY = KeyRecord(
    key_id="abcdefgh", tenant="acme", name="app", secret_hmac=b"h" * 32, tags={"team": "search"}
)


def make_snapshot(**changes: Any) -> Snapshot:
    policy = Policy(name="p")
    parts: dict[str, Any] = {
        "number": 1,
        "built_at": 1.5,
        "environment": "development",
        "upstreams": {"openai": UPSTREAM},
        "default_upstream": "openai",
        "models": {"gpt-4o": (Target("openai", "gpt-4o"),)},
        "keys_by_id": {KEY.key_id: KEY},
        "keys_by_hmac": {KEY.secret_hmac: KEY},
        "tenants": {"acme": TenantRecord("acme", policy.revision, None, is_demo=False)},
        "policies": {policy.revision: policy},
        "timeouts": Timeouts(),
        "limits": Limits(),
        "cache": CacheConfig(),
        "price_book": "0" * 64,
    }
    return Snapshot(**{**parts, **changes})


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.none() | st.integers(0, 2**53)
limits = st.builds(
    UsageLimits,
    rates=st.builds(
        Rates, requests_per_minute=counts, tokens_per_minute=counts, concurrency=counts
    ),
    budgets=st.lists(
        st.builds(
            Budget,
            period=st.sampled_from(PERIODS),
            amount_picousd=st.integers(0, 2**63 - 1),
            is_hard=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
)
upstreams = st.builds(
    Upstream,
    name=text,
    kind=text,
    base_url=text,
    api_key=text,
    allow_private=st.booleans(),
    region=text,
    stream_usage=st.booleans(),
    is_simulated=st.booleans(),
)
keys = st.builds(
    KeyRecord,
    key_id=text,
    tenant=text,
    name=text,
    secret_hmac=st.binary(min_size=32, max_size=32),
    tags=st.dictionaries(text, text, max_size=2),
    project=text,
    endpoints=st.lists(text, max_size=2).map(tuple),
    models=st.lists(text, max_size=2).map(tuple),
    expires_at=st.none() | st.floats(0, 1e10),
    limits=limits,
    output_tokens_cap=counts,
    pepper_id=text,
)
kept_keys = st.builds(
    KeptKeys,
    base=text,
    keys=st.dictionaries(text, st.binary(min_size=32, max_size=32), max_size=2),
)
credentials = st.builds(Credential, tenant=text, provider=text, host=text, api_key=text)
own_upstreams = st.builds(
    OwnUpstream,
    tenant=text,
    upstream=upstreams,
    models=st.dictionaries(text, text, max_size=2),
)
projects = st.builds(
    ProjectRecord, tenant=text, name=text, tags=st.dictionaries(text, text), limits=limits
)
tenants = st.builds(
    TenantRecord,
    name=text,
    policy_revision=text,
    candidate_revision=st.none() | text,
    is_demo=st.booleans(),
    time_zone=text,
    limits=limits,
)
targets = st.builds(Target, upstream=text, model=text)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    by_id = {each.key_id: each for each in draw(st.lists(keys, max_size=3))}
    return Snapshot(
        number=draw(st.integers(0, 2**53)),
        built_at=draw(st.floats(0, 1e10)),
        environment=draw(text),
        upstreams={each.name: each for each in draw(st.lists(upstreams, max_size=2))},
        default_upstream=draw(st.none() | text),
        models=draw(st.dictionaries(text, st.lists(targets, max_size=2).map(tuple), max_size=3)),
        keys_by_id=by_id,
        keys_by_hmac=index_by_hmac(by_id),
        tenants={each.name: each for each in draw(st.lists(tenants, max_size=2))},
        projects={(each.tenant, each.name): each for each in draw(st.lists(projects, max_size=2))},
        policies={each.revision: each for each in draw(st.lists(policies, max_size=2))},
        timeouts=Timeouts(total_s=draw(st.floats(1, 1000))),
        limits=Limits(max_concurrent_requests=draw(st.integers(1, 1000))),
        cache=CacheConfig(max_bytes=draw(st.integers(0, 10**9))),
        price_book=draw(text),
        pepper_id=draw(text),
        kept_keys=draw(kept_keys),
        credentials=tuple(draw(st.lists(credentials, max_size=2))),
        own_upstreams=tuple(draw(st.lists(own_upstreams, max_size=2))),
    )
