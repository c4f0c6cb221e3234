"""The doors of a snapshot: its upstreams ready to be called, and those that are one tenant's alone.

Made by live.py, once per snapshot. A door has one key and one address; whoever calls names a door.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from config.errors import ConfigError
from config.provider_kinds import MOCK_KIND
from ledger.events import UNKNOWN_HOST
from ledger.price_hosts import OWN_KEY_MARK
from policies.snapshot import Credential, Snapshot, Upstream
from proxy.connector import check_upstream_text, check_upstream_url
from proxy.own_models import OwnModels
from proxy.providers.addresses import AddressBook, fixed_headers
from proxy.providers.bedrock import ConverseCalls
from proxy.providers.families import Family, asks_usage, family_of
from proxy.providers.litellm_way import LitellmWay

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


def open_own(snapshot: Snapshot, doors: Doors) -> dict[str, OwnModels]:
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
