"""What follows from a request's headers alone, worked out once and kept while they repeat.

Used by admission.py. A client sends the same headers with every call, its length aside: who calls,
what it wishes and what of it goes upstream need not be found out again. Kept by LiveSnapshot, so
that nothing outlives the snapshot it was true for.
"""

from collections.abc import Hashable
from typing import NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from optimizer.decision import Decision
from policies.snapshot import KeyRecord, Target
from proxy.context import CallerWishes
from proxy.governing.rules import Rules

ByArm = tuple[Decision, Decision]  # past the holdout, and in it
RawHeaders = tuple[tuple[bytes, bytes], ...]
MOST_CALLERS = 16_384
MOST_HEADS = 1024
LONGEST_KEPT_BYTES = 4096
# Changes from call to call and says nothing of the caller.
PER_CALL = frozenset({b"Content-Length", b"content-length"})


class Head(NamedTuple):
    """What begins every request of a caller to one target, up to the id of the call.

    `headers` are the same without the request line, for clients that write their own.
    """

    url: URL
    headers: CIMultiDict[str]
    raw: bytes


Heads = dict[tuple[str, Target, bool], Head]


class Caller:
    """One set of headers: its key, wishes and tags. Compared by identity, never changed.

    `heads` keeps what an upstream gets of these headers, by target (providers/calls.py), and
    `decisions` what was decided for its kinds of requests (reading.py).
    """

    __slots__ = ("decisions", "headers", "heads", "key", "rules", "tags", "wishes")

    def __init__(
        self,
        headers: CIMultiDictProxy[str],
        key: KeyRecord,
        wishes: CallerWishes,
        heads: Heads | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.headers = headers
        self.key = key
        self.wishes = wishes
        self.rules = rules  # None: no limit governs this key
        # The operator's tags win: policies and chargeback rely on them.
        self.tags: dict[str, str] = {**wishes.tags, **key.tags}
        self.heads: Heads = {} if heads is None else heads
        self.decisions: dict[tuple[str, str, bool, bool, bool, bool], ByArm | None] = {}


class CallerBook:
    """The callers met since the snapshot was taken, by head or headers (name_of); bounded."""

    def __init__(self) -> None:
        self._callers: dict[Hashable, Caller] = {}
        self._heads: dict[Hashable, Heads] = {}

    def get(self, name: Hashable) -> Caller | None:
        """Return a caller that was met under this name."""
        return self._callers.get(name)

    def heads_of(self, head: Hashable) -> Heads:
        """Return what upstreams get of a head: the same, whoever's key it came with."""
        heads = self._heads.get(head)
        if heads is None:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            heads = self._heads[head] = {}
        return heads

    def keep(self, name: Hashable, caller: Caller) -> None:
        """Keep a caller, unless its headers will not come again: an id of the call is in them."""
        if caller.wishes.idempotency_key:
            return
        if len(self._callers) >= MOST_CALLERS:
            self._callers.clear()
        self._callers[name] = caller


def name_of(raw: RawHeaders) -> Hashable:
    """Return what two calls of one caller have in common; None when it is too long to keep."""
    name = tuple([pair for pair in raw if pair[0] not in PER_CALL])
    return name if _size_of(name) <= LONGEST_KEPT_BYTES else None


def _size_of(name: RawHeaders) -> int:
    return sum(len(field) + len(value) for field, value in name)
