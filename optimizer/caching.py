"""What the exact cache may do: who is eligible, under which key, which answers may be kept.

plan_cache is called by decide; the others by the proxy. Everything not named transport counts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from config.mac import hmac_sha256
from optimizer.decision import CachePlan, RequestFacts, bypass_plan
from optimizer.prefix import prefix_blocks
from policies.model import CacheRule

# Fields that change how an answer travels or who is named, never what is answered. Isolation
# between users is the scope's job, so naming a user does not fragment the key. `store` is here
# because store: true is never cached at all, and store: false is what leaving it out means.
TRANSPORT_FIELDS = frozenset({
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
})  # fmt: skip

# Hashed once, in the order in which providers cache prefixes: tools come before messages.
PROMPT_FIELDS = ("tools", "messages", "input")
_KEY_LABEL = b"request\x00"
# Tuples: what is looked up comes from outside and may be anything, unhashable values included.
_OWN_TOOLS = ("function", "custom")
_WHOLE_ANSWERS = ("stop", "tool_calls", "function_call")


class DocumentTooDeepError(ValueError):
    """A request nested deeper than 254 levels: it has no canonical form and is to be refused."""


class RequestDigest(NamedTuple):
    """The cache key (32 hex) and the digests of the prompt's prefixes (16 hex each)."""

    request_key: str
    prefix_blocks: list[str]


def request_digest(
    doc: Mapping[str, Any], endpoint: str, model: str, key: bytes, scope_parts: tuple[str, ...]
) -> RequestDigest:
    """Key and prefix digests of a request, hashing the prompt's bytes once.

    `model` is the one that will be called, `key` the tenant's 32 bytes.
    Raises DocumentTooDeepError.
    """
    try:
        prompt = orjson.dumps(
            [doc[field] for field in PROMPT_FIELDS if field in doc], option=orjson.OPT_SORT_KEYS
        )
        blocks, digest = prefix_blocks(prompt, key)
        rest = {
            name: None if name in PROMPT_FIELDS else value
            for name, value in doc.items()
            if name not in TRANSPORT_FIELDS and name != "model"
        }
        # A list of unlike things cannot be confused: each part keeps its own JSON boundaries.
        canonical = orjson.dumps(
            [endpoint, model, scope_parts, digest, rest], option=orjson.OPT_SORT_KEYS
        )
    except orjson.JSONEncodeError as error:
        raise DocumentTooDeepError(str(error)) from error
    mac = hmac_sha256(key, _KEY_LABEL + canonical)
    return RequestDigest(request_key=mac.hex()[:32], prefix_blocks=blocks)


def scope_parts(scope: str, tenant: str, key_id: str, user: str) -> tuple[str, ...]:
    """Who may share an answer. The scope's name is a part, so two scopes never share one."""
    if scope == "tenant":
        return (scope, tenant)
    if scope == "key":
        return (scope, tenant, key_id)
    return ("user", tenant, key_id, user)


def is_deterministic(doc: Mapping[str, Any], endpoint: str) -> bool:
    """True when the caller's own words ask for one answer: temperature 0, a seed, embeddings."""
    if endpoint == "embeddings":
        return True
    if doc.get("web_search_options") is not None or not _has_only_own_tools(doc.get("tools")):
        return False  # the provider looks at the world: the same words get another answer later
    temperature = doc.get("temperature")
    is_cold = type(temperature) in {int, float} and temperature == 0
    return is_cold or doc.get("seed") is not None


def _has_only_own_tools(tools: object) -> bool:
    """True when every tool runs at the caller's, none at the provider's."""
    if not isinstance(tools, list):
        return tools is None
    return all(isinstance(tool, dict) and tool.get("type") in _OWN_TOOLS for tool in tools)


def plan_cache(facts: RequestFacts, rule: CacheRule | None) -> CachePlan:
    """What the rule allows for this request, narrowed by the caller's Cache-Control."""
    refusal = _refuse_cache(facts, rule)
    if refusal or rule is None:
        return bypass_plan(refusal)
    max_age_s = _max_age_of(facts.cache_control)
    is_fresh_wanted = max_age_s == 0
    return CachePlan(
        reads=not is_fresh_wanted,
        writes=True,
        # A flight may have started before the caller asked for a fresh answer.
        joins_flights=not is_fresh_wanted,
        ttl_s=rule.ttl_s,
        scope=rule.scope,
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


def is_cacheable_completion(doc: Mapping[str, Any]) -> str:
    """ "" when an answer may be kept, else the reason: only whole, unforced endings are kept."""
    if doc.get("error"):
        return "error"
    if (
        "data" in doc and "choices" not in doc
    ):  # embeddings have no finish reason: they are whole or an error
        return "" if isinstance(doc["data"], list) and doc["data"] else "empty"
    choices = doc.get("choices")
    if not isinstance(choices, list) or not choices:
        return "empty"
    for choice in choices:
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if reason not in _WHOLE_ANSWERS:
            return reason if reason in ("length", "content_filter") else "unfinished"
    return ""
