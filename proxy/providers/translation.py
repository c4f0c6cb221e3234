"""What every translation between two dialects offers; the hub is OpenAI's chat completions.

Implemented by the files beside it, chosen by matrix.py, used by upstream.py for what goes to a
provider and by the replies for what goes to a caller. A translation is pure: no network, no clock.
"""

from collections.abc import Mapping
from typing import Any, Protocol

Document = dict[str, Any]


class UntranslatableError(ValueError):
    """A request says something the other dialect cannot say; answered 400 with a hint."""

    def __init__(self, message: str, hint: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param


class StreamTranslator(Protocol):
    """One stream on its way from one dialect to the other: a filter over bytes.

    Feed it what arrives, cut anywhere; it returns whole server-sent events of the other dialect
    (maybe none). It never holds more than one event of the source. An error event of the source
    becomes one error event of the other dialect, after which `is_done` stays False.
    """

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The source's own usage as seen so far, merged over its events; None before any."""

    @property
    def is_done(self) -> bool:
        """Whether the source has said its proper end (its last event, not just end of bytes)."""

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of the source; return whole events of the other dialect.

        The other dialect's end marker is part of the output once the source's end was seen.
        OversizedEventError when one event of the source is larger than any may be.
        """


class Translator(Protocol):
    """Requests go from dialect A to dialect B; answers and streams come back from B to A."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        """Return B's request of A's. Never changes `doc`. Raises UntranslatableError.

        Unknown fields with the same meaning in both pass; a field B cannot honour and that changes
        the answer's meaning is refused, one that does not is left out.
        """

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        """Return A's answer of B's whole answer; ValueError when it is not an answer of B's.

        `asked` is A's request. Usage is translated so that no token is lost or counted twice.
        """

    def stream(self, asked: Mapping[str, Any]) -> StreamTranslator:
        """Return a fresh filter from B's stream to A's, for the answer to `asked`."""

    def error(self, document: Mapping[str, Any]) -> Document | None:
        """Return A's error document of B's error document; None when it is none of B's."""


def add_turn(turns: list[Document], role: str, blocks: list[Document]) -> None:
    """Add blocks to the turns of a provider that wants its roles to alternate."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": role, "content": blocks})
