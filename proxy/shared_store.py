"""What the exact cache asks of its second level, which processes share; shared_answers.py is it."""

from collections.abc import Iterable
from typing import Protocol

from proxy.answers import StoredAnswer
from proxy.context import RequestContext


class SharedStore(Protocol):
    """Where all processes keep their answers (shared_answers.py)."""

    async def fetch(self, ctx: RequestContext) -> tuple[StoredAnswer, float] | None:
        """An answer and the seconds it may be kept."""

    def keep(self, ctx: RequestContext, answer: StoredAnswer, ttl_s: float) -> None:
        """Keep an answer, soon."""

    def purge(self, tenants: Iterable[str]) -> None:
        """Make all answers of these tenants nobody's."""
