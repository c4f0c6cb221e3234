"""The snapshot a proxy serves from, with everything that can be computed once per snapshot.

Made by role.py, swapped whole when the control process says so; a request holds on to the one it
started with. An older number never replaces a newer one.
"""

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from config.secrets import KeyRing
from ledger.price_book import PriceBook
from optimizer.decision import Draws
from optimizer.session import draw_arms, unit_draw
from policies.model import Policy
from policies.snapshot import (
    KeyRecord,
    Snapshot,
    Target,
    index_by_hmac,
)
from proxy.callers import CallerBook
from proxy.doors import NOWHERE, Doors, Place, Places, UpstreamDoor, binding_of, open_door, open_own
from proxy.governing.rules import Rules, rules_of
from proxy.own_models import Models

if TYPE_CHECKING:
    from proxy.event_drafts import EventForm


logger = logging.getLogger(__name__)

__all__ = [
    "NOWHERE", "LiveSnapshot", "Place", "TenantKeys", "UpstreamDoor",
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
