"""What the exact cache may do: who is eligible, under which key, which answers may be kept.

plan_cache is called by decide; the others by the proxy. Everything not named transport counts.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from config.mac import hmac_sha256
from optimizer.completeness import is_cacheable_answer, is_cacheable_completion
from optimizer.decision import CachePlan, RequestFacts, bypass_plan
from optimizer.dialects import TRANSPORT_FIELDS, has_one_form, prompt_fields, unhashed_fields
from optimizer.eligibility import allows_store, is_deterministic
from optimizer.prefix import prefix_blocks
from policies.model import CacheRule

__all__ = [
    "TRANSPORT_FIELDS", "DocumentTooDeepError", "RequestDigest", "allows_store",
    "is_cacheable_answer", "is_cacheable_completion", "is_deterministic", "plan_cache",
    "request_digest", "scope_parts",
]  # fmt: skip

_KEY_LABEL = b"request\x00"


class DocumentTooDeepError(ValueError):
    """A request nested deeper than 254 levels: it has no canonical form and is to be refused."""


class RequestDigest(NamedTuple):
    """The cache key (32 hex) and the digests of the prompt's prefixes (16 hex each)."""

    request_key: str
    prefix_blocks: list[str]


def request_digest(
    doc: Mapping[str, Any],
    endpoint: str,
    model: str,
    key: bytes,
    scope_parts: tuple[str, ...],
    *,
    is_streaming: bool = False,
) -> RequestDigest:
    """Key and prefix digests of a request, hashing the prompt's bytes once.

    `model` is the one that will be called, `key` the tenant's 32 bytes. `is_streaming` is for
    dialects that say so outside the document (Gemini's path); `stream` inside it is read here.
    Raises DocumentTooDeepError.
    """
    fields, left_out = prompt_fields(endpoint), unhashed_fields(endpoint)
    try:
        prompt = orjson.dumps(
            [doc[field] for field in fields if field in doc], option=orjson.OPT_SORT_KEYS
        )
        blocks, digest = prefix_blocks(prompt, key)
        rest = {
            name: None if name in fields else value
            for name, value in doc.items()
            if name not in left_out
        }
        # A list of unlike things cannot be confused: each part keeps its own JSON boundaries.
        parts: list[Any] = [endpoint, model, scope_parts, digest, rest]
        if has_one_form(endpoint):
            parts.append(is_streaming or doc.get("stream") is True)
        canonical = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise DocumentTooDeepError(str(error)) from error
    mac = hmac_sha256(key, _KEY_LABEL + canonical)
    return RequestDigest(mac.hex()[:32], blocks)


def scope_parts(scope: str, tenant: str, key_id: str, user: str) -> tuple[str, ...]:
    """Who may share an answer. The scope's name is a part, so two scopes never share one."""
    if scope == "tenant":
        return (scope, tenant)
    if scope == "key":
        return (scope, tenant, key_id)
    return ("user", tenant, key_id, user)


def plan_cache(facts: RequestFacts, rule: CacheRule | None) -> CachePlan:
    """What the rule allows for this request, narrowed by the caller's Cache-Control."""
    refusal = _refuse_cache(facts, rule)
    if refusal or rule is None:
        return bypass_plan(refusal)
    return _plan(rule.ttl_s, rule.scope, facts.cache_control)


@lru_cache(maxsize=1024)
def _plan(ttl_s: int, scope: str, cache_control: str) -> CachePlan:
    max_age_s = _max_age_of(cache_control)
    is_fresh_wanted = max_age_s == 0
    return CachePlan(
        reads=not is_fresh_wanted,
        writes=True,
        # A flight may have started before the caller asked for a fresh answer.
        joins_flights=not is_fresh_wanted,
        ttl_s=ttl_s,
        scope=scope,
        max_age_s=max_age_s,
        reason="no_cache" if is_fresh_wanted else "eligible",
    )


def _refuse_cache(facts: RequestFacts, rule: CacheRule | None) -> str:
    if rule is None:
        return "no_rule"
    if facts.cache_control and "no-store" in _directives(facts.cache_control):
        return "no_store"
    if not facts.allows_store:
        return "provider_stores"
    if rule.when == "deterministic" and not facts.is_deterministic:
        return "not_deterministic"
    return ""


def _directives(cache_control: str) -> list[str]:
    return [part.strip().lower() for part in cache_control.split(",")]


def _max_age_of(cache_control: str) -> int | None:
    """Oldest acceptable answer in seconds; 0 for no-cache and for an age nobody can read."""
    if not cache_control:
        return None
    ages: list[int] = []
    for directive in _directives(cache_control):
        name, _, value = directive.partition("=")
        if name == "no-cache":
            ages.append(0)
        elif name == "max-age":
            digits = value.strip('"')
            ages.append(int(digits[:12]) if digits.isascii() and digits.isdigit() else 0)
    return min(ages, default=None)
