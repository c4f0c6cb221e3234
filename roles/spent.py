"""Tells each proxy, when it connects, what every running budget has cost before it started.

Part of the control process. A proxy's memory begins empty, and Redis may have lost its data: what
was used is in the usage events, and is told again a little later, when more of them have arrived.
"""

import asyncio
import logging
from collections.abc import Callable

from admin_api.errors import AdminError
from config.bus import Message
from config.tasks import TaskOwner
from ledger.spending import spent_by_key
from policies.snapshot import KeyRecord, Snapshot
from proxy.governing.claims import Claim, Meter
from proxy.governing.rules import rules_of
from roles.usage_store import UsageStore
from storage.columnar import Columnar, ColumnarError

TOLD_AFTER_S = (0.0, 5.0, 30.0)  # the events of a killed process take a moment to be shipped
MOST_IN_A_MESSAGE = 200

_log = logging.getLogger(__name__)

Send = Callable[[Message], None]
Budgets = dict[str, tuple[Claim, list[KeyRecord]]]


class SpentTeller:
    """Answers every hello of a proxy."""

    def __init__(
        self, usage: UsageStore, snapshot: Callable[[], Snapshot], tasks: TaskOwner
    ) -> None:
        self._usage = usage
        self._snapshot = snapshot
        self._tasks = tasks
        self._known: set[Meter] | None = None  # None: no snapshot was seen yet

    def greet(self, started_us: int, send: Send) -> None:
        """Begin to tell a proxy that started at this unix time, in microseconds."""
        self._tasks.start(self._tell(started_us, send), "tell what was spent")

    def note_snapshot(self, now_s: float, broadcast: Send) -> None:
        """Tell every proxy what budgets have cost that were not there before; Unix seconds."""
        budgets = budgets_of(self._snapshot(), now_s)
        known, self._known = self._known, {_sort_of(claim) for claim, _ in budgets.values()}
        if known is None:
            return  # no proxy counts yet
        new = {name: each for name, each in budgets.items() if _sort_of(each[0]) not in known}
        if new:
            self._tasks.start(self._tell_new(new, int(now_s * 1e6), broadcast), "tell of budgets")

    async def _tell(self, started_us: int, send: Send) -> None:
        await self._usage.opened.wait()
        for delay_s in TOLD_AFTER_S:
            await asyncio.sleep(delay_s)
            budgets = budgets_of(self._snapshot(), started_us / 1e6)
            await self._tell_new(budgets, started_us, send)

    async def _tell_new(self, budgets: Budgets, until_us: int, send: Send) -> None:
        try:
            sums = await self._sums(budgets, until_us)
        except (AdminError, ColumnarError) as error:
            _log.warning("budgets begin without what was spent: %s", error)
            return
        for start in range(0, len(sums), MOST_IN_A_MESSAGE):
            send({"type": "spent", "sums": sums[start : start + MOST_IN_A_MESSAGE]})

    async def _sums(self, by_counter: Budgets, started_us: int) -> list[list[object]]:
        """[tenant, counter, pico-USD, end of the period] of each budget that has cost something."""
        if not by_counter:
            return []
        columnar = (await self._usage.open_fresh()).columnar
        spent = await self._spent_since(columnar, by_counter, started_us)
        sums: list[list[object]] = []
        for counter, (claim, keys) in by_counter.items():
            since = claim.span.start_s if claim.span is not None else 0.0
            amount = sum(spent[since].get((key.tenant, key.key_id), 0) for key in keys)
            if amount and claim.span is not None:
                sums.append([keys[0].tenant, counter, amount, claim.span.end_s])
        return sums

    async def _spent_since(
        self,
        columnar: Columnar,
        by_counter: Budgets,
        until_us: int,
    ) -> dict[float, dict[tuple[str, str], int]]:
        """By the beginning of a period: there are as many as periods and time zones."""
        starts = {claim.span.start_s for claim, _ in by_counter.values() if claim.span is not None}
        return {
            start: await spent_by_key(columnar, int(start * 1e6), until_us)
            for start in sorted(starts)
        }


def _sort_of(claim: Claim) -> Meter:
    """What makes a budget the same one, whatever its amount."""
    return claim.meter._replace(limit=None, soft_limit=None)


def budgets_of(snapshot: Snapshot, now_s: float) -> Budgets:
    """Every counter of money, by name: a claim on it, and the keys that use it."""
    found: Budgets = {}
    for key in snapshot.keys_by_id.values():
        rules = rules_of(key, snapshot)
        for claim in rules.claim_all(now_s, 0, 0) if rules is not None else ():
            if claim.meter.kind == "money":
                found.setdefault(claim.counter, (claim, []))[1].append(key)
    return found
