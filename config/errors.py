"""The one exception of configuration and start-up, and the search for near names in its hints.

Raised by every package that reads what an operator wrote; main.py prints it and exits with 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ConfigError(Exception):
    """The operator has to change something: `message` says what is wrong, `hint` how to fix it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})"


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names that look like `name`, the nearest first, whatever their case."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.55)
    return [by_folded[match] for match in matches]


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown `name`: the near ones, else the known ones that fit a line."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not names:
        return "none are declared"
    shown = ", ".join(names[:12])
    return f"known names: {shown}, ..." if len(names) > 12 else f"known names: {shown}"
