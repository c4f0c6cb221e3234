"""Policies by name or inline: loading, checking, and the revision that names a version.

Called by the snapshot builder. Shipped policies are the YAML files in policies/defaults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from config.errors import ConfigError, nearest, suggest
from policies.model import CacheRule, Match, Policy, RouteTarget, Rule

DEFAULTS_DIRECTORY = Path(__file__).parent / "defaults"
_FIELD_NAMES = sorted(
    {name for part in (Policy, Rule, Match, CacheRule, RouteTarget) for name in part.model_fields}
)


def revision_of(policy: Policy) -> str:
    """`name@` and 12 hex digits; equal documents have equal revisions, whatever the key order."""
    return policy.revision


def list_default_names() -> list[str]:
    """Names of the policies that ship with the gateway."""
    return sorted(path.stem for path in DEFAULTS_DIRECTORY.glob("*.yaml"))


def load_policy(source: str | Mapping[str, Any]) -> Policy:
    """A shipped policy by name, or an inline document. Raises ConfigError."""
    if not isinstance(source, str):
        return _check(dict(source), str(source.get("name", "inline")))
    names = list_default_names()
    if source not in names:
        raise ConfigError(f"unknown policy {source!r}", suggest(source, names))
    text = (DEFAULTS_DIRECTORY / f"{source}.yaml").read_text(encoding="utf-8")
    return _check(yaml.safe_load(text), source)


def _check(document: dict[str, Any], label: str) -> Policy:
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        hint = "policies/defaults/balanced.yaml shows the form of a policy"
        if first["type"] == "extra_forbidden":
            near = nearest(str(first["loc"][-1]), _FIELD_NAMES)
            hint = f"did you mean {' or '.join(near)}?" if near else hint
        raise ConfigError(f"policy {label!r}: {place}: {first['msg']}", hint) from error
