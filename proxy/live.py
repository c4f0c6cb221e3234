"""The snapshot a proxy serves from, with everything that can be computed once per snapshot.

Made by role.py, swapped whole when the control process says so; a request holds on to the one it
started with. An older number never replaces a newer one.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from config.clock import Clock
from config.secrets import KeyRing
from ledger.price_book import PriceBook, load_price_book
from optimizer.decision import Draws
from optimizer.session import draw_arms, unit_draw
from policies.model import Policy
from policies.revocations import FILE_NAME as REVOCATIONS_FILE
from policies.revocations import read_revocations
from policies.snapshot import (
    KeyRecord,
    Snapshot,
    Target,
    index_by_hmac,
    read_snapshot_file,
)
from policies.snapshot_signing import read_pin
from proxy.callers import CallerBook
from proxy.doors import NOWHERE, Doors, Place, Places, UpstreamDoor, binding_of, open_door, open_own
from proxy.freshness import DEFAULT_MAX_STALE_S, Freshness, age_on_disk
from proxy.governing.rules import Rules, rules_of
from proxy.own_models import Models

if TYPE_CHECKING:
    from proxy.event_drafts import EventForm


logger = logging.getLogger(__name__)

__all__ = [
    "NOWHERE", "LiveSnapshot", "Place", "SnapshotHolder", "TenantKeys", "UpstreamDoor",
    "binding_of", "open_door",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """What is derived from the master key for one tenant."""

    cache_key: bytes = field(repr=False)
    subject_key: bytes = field(repr=False)


class LiveSnapshot:
    """One snapshot with its doors, keys and price book."""

    def __init__(
        self,
        snapshot: Snapshot,
        book: PriceBook,
        key_ring: KeyRing,
        revoked: frozenset[str] = frozenset(),
        *,
        is_closed: bool = False,
    ) -> None:
        self.snapshot = _without(snapshot, revoked, is_closed=is_closed)
        self.revoked = revoked
        self.is_closed = is_closed  # nobody vouched for it for so long that it serves no one
        self.next_expiry = _next_expiry(self.snapshot, 0.0)
        self.book = book
        key_ring = key_ring.with_kept(snapshot.kept_keys)
        self.peppers = _peppers_of(snapshot, key_ring)
        self.doors = Doors(snapshot.upstreams)
        self._own_models = open_own(snapshot, self.doors)
        self.places = Places(self.doors)
        self.forms: dict[tuple[object, ...], EventForm] = {}  # of usage events, see event_drafts.py
        self._targets: dict[tuple[str, ...], tuple[Target, ...]] = {}
        self._key_ring = key_ring
        self._tenant_keys: dict[str, TenantKeys] = {}
        self._salts: dict[str, tuple[bytes, bytes]] = {}
        self._rules: dict[str, Rules | None] = {}
        self.callers = CallerBook()

    def forget_expired(self, now: float) -> None:
        """Let whoever called before be looked at again, once a key has ended; Unix seconds."""
        if now >= self.next_expiry:
            self.callers = CallerBook()
            self.next_expiry = _next_expiry(self.snapshot, now)

    @property
    def needs_litellm(self) -> bool:
        """Whether a declared upstream is spoken to through litellm's door."""
        return any(door.litellm is not None for door in self.doors.values())

    def tenant_keys(self, tenant: str) -> TenantKeys:
        keys = self._tenant_keys.get(tenant)
        if keys is None:
            keys = TenantKeys(
                cache_key=self._key_ring.cache_key(tenant),
                subject_key=self._key_ring.subject_key(tenant),
            )
            self._tenant_keys[tenant] = keys
        return keys

    def rules_of(self, key: KeyRecord) -> Rules | None:
        """What limits a key; None when nothing does."""
        if key.key_id not in self._rules:
            self._rules[key.key_id] = rules_of(key, self.snapshot)
        return self._rules[key.key_id]

    def draw(self, epoch: str, tenant: str, session: str, *, has_candidate: bool = True) -> Draws:
        """Draw the arms of a session; the salts change with the epoch (a month).

        Without a candidate nobody reads the canary's draw, and it stays 0.
        """
        salts = self._salts.get(epoch)
        if salts is None:
            salts = self._key_ring.arm_salt(epoch), self._key_ring.arm_salt(f"canary/{epoch}")
            self._salts = {epoch: salts}
        if not has_candidate:
            return Draws(unit_draw(salts[0], tenant, session), 0.0)
        return draw_arms(salts[0], salts[1], tenant, session)

    def policies_of(self, tenant: str) -> tuple[Policy, Policy | None]:
        """Return a tenant's active policy and its candidate, if one is being tried."""
        record = self.snapshot.tenants[tenant]
        candidate = record.candidate_revision
        policies = self.snapshot.policies
        return policies[record.policy_revision], policies[candidate] if candidate else None

    def models_of(self, tenant: str) -> Models:
        """Return the public names a tenant may ask for, with the targets that are right for it."""
        own = self._own_models.get(tenant)
        return self.snapshot.models if own is None else own

    def bound(self, upstream: str, tenant: str) -> str:
        """Return the door by which a tenant calls an upstream: with its own key, if it has one."""
        own = self._own_models.get(tenant)
        return own.bound.get(upstream, upstream) if own is not None else upstream

    def whose_models(self, tenant: str) -> str:
        """Return the tenant when its models are not everybody's, else ""."""
        return tenant if tenant in self._own_models else ""

    def baseline_of(self, model: str, tenant: str = "") -> tuple[Place, str]:
        """Return who would have served a model had nobody decided anything: its first target."""
        targets = self.models_of(tenant).get(model)
        if not targets:
            return NOWHERE, ""
        return self.places[targets[0].upstream], targets[0].model

    def targets_of(self, models: tuple[str, ...], tenant: str = "") -> tuple[Target, ...]:
        """Return where the models of a decision can be served, in the order to try them."""
        own = self._own_models.get(tenant)
        kept = self._targets if own is None else own.routes
        targets = kept.get(models)
        if targets is None:
            known = self.models_of(tenant)
            targets = tuple(target for name in models for target in known[name])
            kept[models] = targets  # as many entries as there are routes
        return targets


def _without(snapshot: Snapshot, revoked: frozenset[str], *, is_closed: bool) -> Snapshot:
    """A snapshot in which those keys are not, or none at all."""
    if not is_closed and revoked.isdisjoint(snapshot.keys_by_id):
        return snapshot
    kept = {
        key_id: key
        for key_id, key in snapshot.keys_by_id.items()
        if not is_closed and key_id not in revoked
    }
    return replace(snapshot, keys_by_id=kept, keys_by_hmac=index_by_hmac(kept))


def _next_expiry(snapshot: Snapshot, now: float) -> float:
    """When the next key ends after `now`; infinity when none does."""
    ends = (key.expires_at for key in snapshot.keys_by_id.values() if key.expires_at is not None)
    return min((end for end in ends if end > now), default=math.inf)


def _peppers_of(snapshot: Snapshot, key_ring: KeyRing) -> dict[str, bytes]:
    """Return what keys the HMACs of the snapshot's API keys; ConfigError when one is lost."""
    ids = {record.pepper_id for record in snapshot.keys_by_id.values()}
    return {each: key_ring.pepper_of(each or snapshot.pepper_id) for each in ids | {""}}


class SnapshotHolder:
    """Holds the live snapshot, replaces it from disk, and takes keys out that were revoked.

    Whose signature is good is read once: who exchanges that file does not reach a running proxy.
    """

    def __init__(
        self,
        home: Path,
        key_ring: KeyRing,
        clock: Clock,
        max_stale_s: float = DEFAULT_MAX_STALE_S,
    ) -> None:
        self._home = home
        self._path = home / "snapshot.sealed"
        self._seen_ns = 0
        self._key_ring = key_ring
        self._trusted = read_pin(home, key_ring)
        self._revoked = frozenset(read_revocations(home / REVOCATIONS_FILE, key_ring))
        self.clock = clock
        self.epoch = ""
        self.freshness = Freshness(clock, max_stale_s, age_on_disk(home, clock))
        self._whole = self._read()
        self.live = self._build(is_closed=self.freshness.is_over)

    def refresh(self) -> bool:
        """Take the snapshot on disk if it is newer; raises ConfigError and keeps the old one."""
        fresh = self.read_newer()
        return fresh is not None and self.take(fresh)

    def read_newer(self) -> "Whole | None":
        """Read what is on disk, unless it was read before; may run on a thread. ConfigError."""
        if self._written_ns() == self._seen_ns != 0:
            return None
        whole = self._read()
        LiveSnapshot(whole.snapshot, whole.book, self._key_ring)  # all its doors can be opened
        return whole

    def take(self, fresh: "Whole") -> bool:
        """Serve from it; False, and the one in hand stays, when it is no newer."""
        if fresh.snapshot.number <= self._whole.snapshot.number:
            return False
        self._whole = fresh
        self.live = self._build(is_closed=self.live.is_closed)
        return True

    def look_at_disk(self) -> None:
        """Take in what is noted there, should a message have been missed. ConfigError."""
        self.freshness.note_age(age_on_disk(self._home, self.clock))
        self.look_at_time()
        self.revoke(read_revocations(self._home / REVOCATIONS_FILE, self._key_ring))

    def revoke(self, key_ids: Iterable[str]) -> None:
        """From now on nobody gets in with these keys, whatever a snapshot says."""
        revoked = self._revoked.union(key_ids)
        if revoked != self._revoked:
            self._revoked = revoked
            self.live = self._build(is_closed=self.live.is_closed)

    def confirm(self, number: int) -> bool:
        """The control plane vouches for a snapshot: False when this one has not got it."""
        if number != self._whole.snapshot.number:
            return False
        self.freshness.confirm()
        self.look_at_time()
        return True

    def look_at_time(self) -> None:
        """Do what is due: close or open again, and let expired keys go."""
        if self.freshness.is_over != self.live.is_closed:
            self.live = self._build(is_closed=self.freshness.is_over)
        self.live.forget_expired(self.clock.now())

    def _build(self, *, is_closed: bool) -> LiveSnapshot:
        whole = self._whole
        return LiveSnapshot(
            whole.snapshot, whole.book, self._key_ring, self._revoked, is_closed=is_closed
        )

    def _read(self) -> "Whole":
        self._seen_ns = self._written_ns()
        snapshot = read_snapshot_file(self._path, self._key_ring, self._trusted)
        book = load_price_book(self._home / "price-books" / f"{snapshot.price_book}.json")
        return Whole(snapshot, book)

    def _written_ns(self) -> int:
        """Return when the file was written; 0 when there is none."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


class Whole(NamedTuple):
    """What is on disk: a snapshot with every key it was built with, and its price book."""

    snapshot: Snapshot
    book: PriceBook
