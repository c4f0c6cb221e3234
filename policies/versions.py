"""Policies by name or inline: loading, checking, and the revision that names a version.

Called by policies.declared and the snapshot builder. Shipped policies are in policies/defaults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import ConfigError, suggest
from config.validating import refuse_at, validate, validate_part
from config.yaml_loading import KeyPath, LocatedDocument, read_yaml
from policies.model import Policy

DEFAULTS_DIRECTORY = Path(__file__).parent / "defaults"


def revision_of(policy: Policy) -> str:
    """`name@` and 12 hex digits; equal documents have equal revisions, whatever the key order."""
    return policy.revision


def list_default_names() -> list[str]:
    """Names of the policies that ship with the gateway."""
    return sorted(path.stem for path in DEFAULTS_DIRECTORY.glob("*.yaml"))


def load_policy(source: str | Mapping[str, Any]) -> Policy:
    """A shipped policy by name, or an inline document that nobody knows the lines of. ConfigError.

    What stands in a file is read by `load_policy_at`, whose errors name the line.
    """
    if isinstance(source, str):
        return _load_shipped(source)
    name = source.get("name", "inline")
    return validate(Policy, LocatedDocument(dict(source), f"policy {name!r}", {(): 1}))


def load_policy_at(
    source: str | Mapping[str, Any], document: LocatedDocument, place: KeyPath
) -> Policy:
    """As `load_policy`, for what the document declares at `place`."""
    if not isinstance(source, str):
        return validate_part(Policy, dict(source), document, place)
    names = list_default_names()
    if source not in names:
        raise refuse_at(document, place, f"unknown policy {source!r}", suggest(source, names))
    return _load_shipped(source)


def _load_shipped(name: str) -> Policy:
    names = list_default_names()
    if name not in names:
        raise ConfigError(f"unknown policy {name!r}", suggest(name, names))
    path = DEFAULTS_DIRECTORY / f"{name}.yaml"
    return validate(Policy, read_yaml(path, "restore it from the release"))
