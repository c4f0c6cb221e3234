"""The policy language: frozen documents that say what may happen to a request.

Read from YAML by policies.versions, carried by the snapshot, interpreted by optimizer.decide.
"""

import hashlib
import re
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from policies.globs import pattern_of

Endpoint = Literal["chat", "embeddings"]
CacheScope = Literal["user", "key", "tenant"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
ONE_YEAR_S = 31_536_000


class PolicyPart(BaseModel):
    """What every part shares: a typo in a policy is an error, and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(PolicyPart):
    """Every condition given must hold; an empty one holds for every request."""

    models: tuple[Name, ...] = Field((), description="Requested model names; `*` is a wildcard.")
    endpoints: tuple[Endpoint, ...] = Field((), description="Any of these endpoints.")
    keys: tuple[Name, ...] = Field((), description="Names of API keys, any of them.")
    tags: dict[str, str] = Field({}, description="All of these tags, with these values.")
    min_prompt_bytes: int | None = Field(None, ge=0, description="Inclusive lower bound.")
    max_prompt_bytes: int | None = Field(None, ge=0, description="Inclusive upper bound.")
    streaming: bool | None = Field(None, description="Only streams, or only whole answers.")
    tools: bool | None = Field(None, description="Only with tools, or only without.")
    max_latency_objective_ms: int | None = Field(
        None, ge=1, description="Only requests that declare an objective, of at most this."
    )

    @cached_property
    def model_pattern(self) -> re.Pattern[str] | None:
        """The names of `models` as one expression, for `fullmatch`; None matches every model."""
        return pattern_of(self.models) if self.models else None


class RouteTarget(PolicyPart):
    """One model a request may be sent to instead of the requested one."""

    model: Name = Field(description="Public model name.")
    weight: int = Field(1, ge=1, le=1_000_000, description="Share relative to the other targets.")


class CacheRule(PolicyPart):
    """When an answer may be served again, to whom and for how long."""

    ttl_s: int = Field(3600, ge=1, le=ONE_YEAR_S, description="Lifetime of an answer in seconds.")
    scope: CacheScope = Field(
        "user", description="Who shares answers: key + `user` field, the key, or the whole tenant."
    )
    when: Literal["deterministic", "always"] = Field(
        "deterministic",
        description="Only for requests with temperature 0, a seed, or embeddings; or for all.",
    )


class Rule(PolicyPart):
    """The first rule whose match holds decides; the others are not looked at."""

    name: Name = Field(description="Shown in reasons and usage events.")
    match: Match = Field(Match(), description="Which requests the rule is for.")
    route: tuple[RouteTarget, ...] = Field((), description="Weighted models to call instead.")
    fallback: tuple[Name, ...] = Field((), description="Models to try when the first one fails.")
    cache: CacheRule | None = Field(None, description="Exact cache and coalescing.")
    clamp_output_tokens: int | None = Field(None, ge=1, description="Upper bound of max tokens.")
    no_optimize: bool = Field(False, description="Leave the request as it is; fallback stays on.")


class Policy(PolicyPart):
    """One version of a policy. Two equal documents have the same revision."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
    description: str = Field("", description="For people; counts in the revision all the same.")
    holdout_share: Share = Field(0.0, description="Sessions left alone to measure savings.")
    canary_share: Share = Field(0.0, description="Sessions served by the candidate, if any.")
    rules: tuple[Rule, ...] = Field((), description="In order; the first match decides.")

    @cached_property
    def revision(self) -> str:
        """`name@` and 12 hex digits of the SHA-256 over the canonical document."""
        document = self.model_dump(mode="json")
        canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        return f"{self.name}@{hashlib.sha256(canonical).hexdigest()[:12]}"

    @cached_property
    def named_keys(self) -> frozenset[str]:
        """The API keys that some rule names."""
        return frozenset(key for rule in self.rules for key in rule.match.keys)

    @cached_property
    def named_tags(self) -> frozenset[str]:
        """The tags that some rule asks for."""
        return frozenset(tag for rule in self.rules for tag in rule.match.tags)

    @cached_property
    def shortlists(self) -> dict[tuple[Any, ...], tuple[Rule, ...]]:
        """Which rules are left for requests of one kind: the memory of optimizer.routing."""
        return {}
