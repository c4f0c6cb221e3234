"""The snapshot a proxy serves from, with everything that can be computed once per snapshot.

Made by role.py, swapped whole when the control process says so; a request holds on to the one it
started with. An older number never replaces a newer one.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from config.clock import Clock
from config.errors import ConfigError
from config.provider_kinds import MOCK_KIND
from config.secrets import KeyRing
from ledger.events import UNKNOWN_HOST
from ledger.price_book import PriceBook, load_price_book
from ledger.price_hosts import OWN_KEY_MARK
from optimizer.decision import Draws
from optimizer.session import draw_arms, unit_draw
from policies.model import Policy
from policies.revocations import FILE_NAME as REVOCATIONS_FILE
from policies.revocations import read_revocations
from policies.snapshot import (
    Credential,
    KeyRecord,
    Snapshot,
    Target,
    Upstream,
    index_by_hmac,
    read_snapshot_file,
)
from policies.snapshot_signing import read_pin
from proxy.callers import CallerBook
from proxy.connector import check_upstream_text, check_upstream_url
from proxy.freshness import DEFAULT_MAX_STALE_S, Freshness, age_on_disk
from proxy.governing.rules import Rules, rules_of
from proxy.own_models import Models, OwnModels
from proxy.providers.addresses import AddressBook, fixed_headers
from proxy.providers.bedrock import ConverseCalls
from proxy.providers.families import Family, asks_usage, family_of
from proxy.providers.litellm_way import LitellmWay

if TYPE_CHECKING:
    from proxy.event_drafts import EventForm

USER_AGENT = "netra-apex"
MOCK_REGION = "us-east-1"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpstreamDoor:
    """One upstream, ready to be called."""

    upstream: Upstream
    family: Family
    addresses: AddressBook
    headers: dict[str, str] = field(repr=False)
    host: str
    allows_private: bool
    is_mock: bool
    asks_usage: bool  # of streams, in stream_options
    converse: ConverseCalls | None = None  # who signs the calls of kind bedrock
    litellm: LitellmWay | None = None  # who makes the calls of the long tail of kinds
    tenant: str = ""  # whose key or server it is, and nobody else's; "": the operator's, for all


class Place(NamedTuple):
    """Who serves a model, as usage events name it; prices depend on it."""

    upstream: str = ""
    kind: str = ""
    host: str = UNKNOWN_HOST
    region: str = ""
    is_simulated: bool = False


NOWHERE = Place()


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
        self._own_models = _open_own(snapshot, self.doors)
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


class Doors(dict[str, UpstreamDoor]):
    """Doors by name. Those that only have another key than a shared one open when first used."""

    def __init__(self, shared: Mapping[str, Upstream]) -> None:
        super().__init__({name: open_door(upstream) for name, upstream in shared.items()})
        self._waiting: dict[str, Credential] = {}  # there may be thousands

    def bind(self, credential: Credential, shared: str) -> str:
        """Have a tenant's key stand behind a shared upstream; the name of that door."""
        name = f"{credential.tenant}{OWN_KEY_MARK}{shared}"
        self._waiting[name] = credential
        return name

    def __missing__(self, name: str) -> UpstreamDoor:
        credential = self._waiting[name]
        shared = self[name.partition(OWN_KEY_MARK)[2]].upstream
        upstream = replace(shared, name=name, api_key=credential.api_key)
        door = self[name] = open_door(upstream, credential.tenant)
        return door


class Places(dict[str, Place]):
    """Who serves behind each door, made when first asked for."""

    def __init__(self, doors: Doors) -> None:
        super().__init__({name: _place_of(door) for name, door in doors.items()})
        self._doors = doors

    def __missing__(self, name: str) -> Place:
        place = self[name] = _place_of(self._doors[name])
        return place


def _open_own(snapshot: Snapshot, doors: Doors) -> dict[str, OwnModels]:
    """Add the doors that are one tenant's alone; return the models of those who have any."""
    shared: dict[tuple[str, str], list[str]] = {}
    for name, door in doors.items():
        shared.setdefault(binding_of(door), []).append(name)
    tenants = {each.tenant for each in snapshot.credentials}
    tenants |= {each.tenant for each in snapshot.own_upstreams}
    own = {tenant: OwnModels(snapshot.models) for tenant in tenants}
    for declared in snapshot.own_upstreams:
        opened = _open_or_leave(declared.upstream, declared.tenant)
        if opened is not None:
            doors[declared.upstream.name] = opened
            own[declared.tenant].add(declared.upstream.name, declared.models)
    for credential in snapshot.credentials:
        for name in shared.get((credential.provider, credential.host), ()):
            own[credential.tenant].bound[name] = doors.bind(credential, name)
    return own


def binding_of(door: UpstreamDoor) -> tuple[str, str]:
    """Return what a credential has to name to be sent through a door: its kind and its host."""
    base = door.addresses.base
    if door.is_mock or not base.host:
        return door.upstream.kind, ""
    return door.upstream.kind, base.host_port_subcomponent or ""


def _open_or_leave(upstream: Upstream, tenant: str) -> UpstreamDoor | None:
    """Open a tenant's own upstream; what one tenant wrote must not keep the others waiting."""
    try:
        if upstream.allow_private or upstream.kind == MOCK_KIND:
            raise ConfigError("an upstream of a tenant is a public one", "")
        return open_door(upstream, tenant)
    except (ConfigError, ValueError) as error:
        logger.warning("upstream %s is left out: %s", upstream.name, error)
        return None


def _place_of(door: UpstreamDoor) -> Place:
    upstream = door.upstream
    return Place(
        upstream=upstream.name,
        kind=upstream.kind,
        # A kind without an address here is at its own public one.
        host=door.host or ("" if door.litellm is not None else UNKNOWN_HOST),
        region=upstream.region,
        is_simulated=upstream.is_simulated,
    )


def open_door(upstream: Upstream, tenant: str = "") -> UpstreamDoor:
    """Prepare the addresses and headers of one upstream; raises ConfigError on a forbidden one."""
    is_mock = upstream.kind == MOCK_KIND
    allows_private = upstream.allow_private or is_mock
    if upstream.base_url:
        check_upstream_text(upstream.base_url, allows_private=allows_private)
    addresses = AddressBook(upstream)
    if addresses.base.host or upstream.base_url:
        check_upstream_url(addresses.base, allows_private=allows_private)
    return UpstreamDoor(
        upstream=upstream,
        family=family_of(upstream),
        addresses=addresses,
        headers={
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
            **fixed_headers(upstream),
        },
        host=addresses.base.host or "",
        allows_private=allows_private,
        is_mock=is_mock,
        asks_usage=asks_usage(upstream),
        converse=_converse_of(upstream, addresses),
        litellm=LitellmWay(upstream) if family_of(upstream) == "litellm" else None,
        tenant=tenant,
    )


def _converse_of(upstream: Upstream, addresses: AddressBook) -> ConverseCalls | None:
    if family_of(upstream) != "bedrock":
        return None
    region = upstream.region or (MOCK_REGION if upstream.kind == MOCK_KIND else "")
    return ConverseCalls(api_key=upstream.api_key, region=region, base_url=str(addresses.base))


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
