"""Counters on Redis: one script claims everything or nothing, for all processes and hosts.

Used by the governor where APEX_KV_URL names a server. While it is away, this process enforces its
share of what was left when it last heard; what was used meanwhile is told when it is back.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from ledger.amounts import SPLIT
from proxy.governing.claims import Claim, Correction, Hold, Verdict
from proxy.governing.local_counters import LocalCounters
from proxy.governing.rates import WINDOW_US
from proxy.governing.scripts import CORRECT, RESERVE, SEED
from storage.kv import Kv, KvUnavailableError, Part

LEASE_MS = 30_000
RENEW_S = 10.0
KEPT_AFTER_S = 172_800  # a period's sums stay for two days after it, to be looked at
MOST_IN_A_SCRIPT = 256

logger = logging.getLogger(__name__)


class SharedCounters:
    """The counters of one process that shares them with others."""

    def __init__(
        self, kv: Kv, tasks: TaskOwner, clock: Clock, metrics: Metrics, share: Callable[[], int]
    ) -> None:
        self._channel = kv.open_channel("limits")
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics
        self.local = LocalCounters(clock, share)
        self._claims: dict[str, tuple[str, Claim]] = {}  # by counter: its tenant, and one claim
        self._started_at = self._renewed_at = clock.monotonic()
        self._is_telling = False
        kv.scripts += [RESERVE, CORRECT, SEED]
        kv.on_return.append(self._come_back)

    async def reserve(self, hold: Hold) -> Verdict:
        """Claim at the server; by this process's share where it does not answer."""
        arguments: list[Part] = [hold.id, LEASE_MS]
        for claim in hold.claims:
            arguments += _reservation(claim, self.local.known_of(claim))
        keys = [_key(hold.tenant, claim.counter) for claim in hold.claims]
        try:
            answer = await self._channel.run(RESERVE, keys, arguments)
        except KvUnavailableError:
            return self._reserve_by_share(hold)
        refused, states = int(answer[0]), tuple(_number(each) for each in answer[1:])
        if refused < 0:
            hold.is_shared = True
            self.local.note(hold, states)
        return Verdict(refused, states)

    def settle(self, hold: Hold, corrections: list[Correction]) -> None:
        """Put right what was claimed, off the path; in order with the claims that follow."""
        opened = [claim for claim in hold.claims if claim.meter.kind == "open"]
        if hold.is_shared:
            self.local.close(hold)
        else:
            self.local.settle(hold, corrections)
            corrections = []
        if corrections or opened:
            answer = self._put_corrections(hold, corrections, opened)
            self._tasks.start(self._confirm(hold, corrections, answer), "settle limits")

    def sweep(self) -> None:
        """Forget what is over, renew the leases of open requests, tell what is not told yet."""
        self.local.sweep()
        for name in [name for name in self._claims if name not in self.local.purses]:
            del self._claims[name]
        self._tell_soon()
        if self._clock.monotonic() - self._renewed_at >= RENEW_S:
            self._renewed_at = self._clock.monotonic()
            self._tasks.start(self._renew(), "renew leases")

    def seed(self, tenant: str, counter: str, picousd: int, end_s: float) -> None:
        """Bring a sum up to what was used before, where it began to count after this process."""
        self._tasks.start(self._seed(tenant, counter, picousd, end_s), "seed a budget")

    async def _seed(self, tenant: str, counter: str, picousd: int, end_s: float) -> None:
        age_us = int((self._clock.monotonic() - self._started_at) * 1e6)
        arguments: list[Part] = [*divmod(picousd, SPLIT), age_us]
        try:
            answer = await self._channel.run(SEED, [_key(tenant, counter)], arguments)
        except KvUnavailableError:
            answer = []
        # Where nobody has counted yet, the first claim begins from here.
        known = _number(answer[0]) if answer else picousd
        self.local.seed(tenant, counter, max(known, self.local.known_in(counter)), end_s)

    def _reserve_by_share(self, hold: Hold) -> Verdict:
        verdict = self.local.reserve_now(hold)
        self._metrics.count("apex_limits_by_share_total")
        if verdict.refused < 0:
            self._remember(hold.tenant, hold.claims)
        return verdict

    def _remember(self, tenant: str, claims: tuple[Claim, ...]) -> None:
        for claim in claims:
            if claim.meter.kind == "money":
                self._claims[claim.counter] = tenant, claim

    def _put_corrections(
        self, hold: Hold, corrections: list[Correction], opened: list[Claim]
    ) -> "asyncio.Future[Any]":
        keys = [_key(hold.tenant, each.claim.counter) for each in corrections]
        keys += [_key(hold.tenant, claim.counter) for claim in opened]
        arguments: list[Part] = [LEASE_MS]
        for claim, amount in corrections:
            arguments += _correction(claim, amount, self.local.known_of(claim))
        for _ in opened:
            arguments += ["close", hold.id, 0, 0, 0, 0]
        return self._channel.put(CORRECT, keys, arguments)

    async def _confirm(
        self, hold: Hold, corrections: list[Correction], answer: "asyncio.Future[Any]"
    ) -> None:
        try:
            await answer
        except KvUnavailableError:
            # The places lapse with their leases. The money waits to be told.
            money = [each for each in corrections if each.claim.meter.kind == "money"]
            self._remember(hold.tenant, tuple(each.claim for each in money))
            for claim, amount in money:
                self.local.correct(claim, amount)

    def _come_back(self) -> None:
        """The server answers again: tell it what it missed."""
        self._renewed_at = 0.0
        self.sweep()

    def _tell_soon(self) -> None:
        if not self._is_telling and any(purse.own for purse in self.local.purses.values()):
            self._is_telling = True
            self._tasks.start(self._tell(), "tell what was used")

    async def _tell(self) -> None:
        """Add to the server's sums what was used while it was away; what fails waits on."""
        try:
            for tenant, claims in self._untold().items():
                for start in range(0, len(claims), MOST_IN_A_SCRIPT):
                    await self._tell_some(tenant, claims[start : start + MOST_IN_A_SCRIPT])
        except KvUnavailableError:
            return
        finally:
            self._is_telling = False

    def _untold(self) -> dict[str, list[Claim]]:
        by_tenant: dict[str, list[Claim]] = {}
        for counter, purse in self.local.purses.items():
            if purse.own and counter in self._claims:
                tenant, claim = self._claims[counter]
                by_tenant.setdefault(tenant, []).append(claim)
        return by_tenant

    async def _tell_some(self, tenant: str, claims: list[Claim]) -> None:
        amounts = [self.local.purses[claim.counter].own for claim in claims]
        arguments: list[Part] = [LEASE_MS]
        for claim, amount in zip(claims, amounts, strict=True):
            arguments += _correction(claim, amount, self.local.known_of(claim))
        keys = [_key(tenant, claim.counter) for claim in claims]
        await self._channel.run(CORRECT, keys, arguments)
        for claim, amount in zip(claims, amounts, strict=True):
            purse = self.local.purses.get(claim.counter)
            if purse is not None:
                purse.own -= amount
                purse.known += amount

    async def _renew(self) -> None:
        """Requests that take longer than a lease keep their places, and regain lost ones."""
        by_tenant: dict[str, list[tuple[str, str]]] = {}
        for counter, ids in self.local.open.items():
            tenant = counter.partition("/")[0]
            by_tenant.setdefault(tenant, []).extend((counter, each) for each in ids)
        for tenant, places in by_tenant.items():
            for start in range(0, len(places), MOST_IN_A_SCRIPT):
                some = places[start : start + MOST_IN_A_SCRIPT]
                arguments: list[Part] = [LEASE_MS]
                for _, hold_id in some:
                    arguments += ["open", hold_id, 0, 0, 0, 0]
                keys = [_key(tenant, counter) for counter, _ in some]
                try:
                    await self._channel.run(CORRECT, keys, arguments)
                except KvUnavailableError:
                    return
                await asyncio.sleep(0)


def _key(tenant: str, counter: str) -> str:
    """All of a tenant's counters share a hash tag: one node has them, one script may touch them."""
    return f"apex:{{{tenant}}}:limits:{counter.removeprefix(tenant)}"


def _reservation(claim: Claim, known: int) -> list[Part]:
    """kind, limit, amount, expiry, known: money in halves, as Lua has no integer of its size."""
    meter, amount = claim.meter, claim.amount
    if meter.kind != "money":
        limit = meter.limit if meter.limit is not None else -1
        return [meter.kind, limit, 0, amount, 0, 0, 0, 0]
    has_limit = meter.limit is not None and amount > 0
    high, low = divmod(meter.limit or 0, SPLIT) if has_limit else (-1, 0)
    halves = (*divmod(amount, SPLIT), _expires_ms(claim), *divmod(known, SPLIT))
    return ["money", high, low, *halves]


def _correction(claim: Claim, amount: int, known: int) -> list[Part]:
    if claim.meter.kind == "money":
        return ["money", *divmod(amount, SPLIT), _expires_ms(claim), *divmod(known, SPLIT)]
    return ["rate", amount * WINDOW_US, claim.meter.limit or 0, 0, 0, 0]


def _expires_ms(claim: Claim) -> int:
    end_s = claim.span.end_s if claim.span is not None else 0.0
    return int((end_s + KEPT_AFTER_S) * 1000)


def _number(state: Any) -> int:
    """A count, or money in two halves."""
    high, _, low = bytes(state).partition(b":")
    return int(high) * SPLIT + int(low) if low else int(high)
