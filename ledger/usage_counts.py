"""Reads the counts of a provider's usage block, checked and bounded (pure).

Shared by the readers of every dialect: token_buckets, gemini_usage and bedrock_usage.
"""

from collections.abc import Mapping
from typing import Any

MOST_OPEN_KEYS = 32
MOST_TOKENS = 10**9  # no request has more; beyond it a number is garbage and would overflow sums
_LONGEST_KEY = 100
_DEEPEST = 3


def read_counts(
    block: Mapping[str, Any],
    path: str,
    known: frozenset[str],
    open_keys: list[str],
    ignored: frozenset[str] = frozenset(),
) -> dict[str, int]:
    """The known counts of one block; unknown keys that count anything are noted in `open_keys`.

    ValueError: not an object, or a known count that is no whole number from 0 to 10^9.
    """
    if type(block) is not dict and not isinstance(block, Mapping):
        raise ValueError(f"usage {path} is not an object")
    counts: dict[str, int] = {}
    for key, value in block.items():
        if key in known:
            if value is not None:
                counts[key] = checked_count(value, f"{path}{key}")
        elif key not in ignored:
            _note_unknown(f"{path}{key}", value, open_keys)
    return counts


def checked_count(value: Any, path: str) -> int:
    """A token count; ValueError when it is no whole number from 0 to 10^9."""
    if type(value) is int and 0 <= value <= MOST_TOKENS:
        return value
    raise ValueError(f"{path} is not a token count: {str(value)[:40]}")


def share_out(
    total: int, wanted: Mapping[str, int], rest_name: str, open_keys: list[str]
) -> dict[str, int]:
    """Gives each bucket what it wants while the total lasts, in order; the rest is plain text."""
    shares: dict[str, int] = {}
    rest = total
    for name, tokens in wanted.items():
        share = min(tokens, rest)
        rest -= share
        shares[name] = share
        if share < tokens:
            open_keys.append(f"{name} exceeds its total")
    shares[rest_name] = rest
    return shares


def _note_unknown(path: str, value: Any, open_keys: list[str], depth: int = 0) -> None:
    """Notes the paths at or under an unknown key that hold a number other than zero."""
    if len(open_keys) >= MOST_OPEN_KEYS:
        return
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in value.items():
            _note_unknown(f"{path}.{key}", inner, open_keys, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value:
        open_keys.append(path[:_LONGEST_KEY])
