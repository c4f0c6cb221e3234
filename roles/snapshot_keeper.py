"""Keeps the sealed snapshot on disk true to apex.yaml and SQL; for control, prepare, companion.

A snapshot gets the next number only when its content changed, so that a restart of the control
process makes no proxy read it again.
"""

import asyncio
import dataclasses
import fcntl
import os
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.operator import OperatorConfig, UpstreamConfig
from config.provider_kinds import MOCK_KIND
from config.secrets import KeyRing, sealed_under
from config.settings import Settings
from policies.declared import load_declared
from policies.revocations import read_revocations, reseal_revocations
from policies.signing_key_store import load_signer
from policies.snapshot import (
    KnownDumps,
    Snapshot,
    read_own_snapshot,
    read_snapshot_file,
    write_snapshot_file,
)
from policies.snapshot_age import read_age_s
from policies.snapshot_builder import BuildMemory, BuiltSnapshot, SnapshotSources, build_snapshot
from policies.snapshot_signing import SnapshotSigner, read_pin, reseal_pin
from roles import places
from storage.sql_errors import SqlAwayError, naming_sql_trouble
from storage.tables import BY_API

MOCK_KEY = "sk-mock"
UNNUMBERED = 0


@dataclasses.dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """What is on disk now; `new_keys` are (tenant, key name, secret), never to be had again."""

    snapshot: Snapshot
    is_new: bool
    new_keys: list[tuple[str, str, str]] = dataclasses.field(repr=False)


class SnapshotKeeper:
    """One per control process; `mock_url` is where the built-in mock listens, without a path."""

    def __init__(
        self,
        settings: Settings,
        key_ring: KeyRing,
        engine: AsyncEngine,
        clock: Clock,
        mock_url: str,
    ) -> None:
        self._settings = settings
        self._key_ring = key_ring
        self._engine = engine
        self._clock = clock
        self._mock_url = mock_url
        self._held: _Held | None = None
        self._memory = BuildMemory()
        self._dumps: KnownDumps = {}

    def load_operator(self) -> OperatorConfig:
        """apex.yaml as it is now, mock upstreams pointed at the running mock. ConfigError."""
        operator = load_declared(self._settings.config_path, self._settings.environ)
        upstreams = {
            name: self._point_at_mock(upstream) if upstream.kind == MOCK_KIND else upstream
            for name, upstream in operator.upstreams.items()
        }
        return operator.model_copy(update={"upstreams": upstreams})

    def _point_at_mock(self, upstream: UpstreamConfig) -> UpstreamConfig:
        # As with a real provider a call without a key is refused; any key will do.
        key = upstream.api_key or MOCK_KEY
        return upstream.model_copy(update={"base_url": f"{self._mock_url}/v1", "api_key": key})

    async def refresh(self, operator: OperatorConfig) -> KeptSnapshot:
        """Build the snapshot and write it if it says anything new. ConfigError changes nothing."""
        with naming_sql_trouble(self._settings.sql_url):
            async with self._engine.begin() as connection:
                signer = await load_signer(connection, self._key_ring, self._clock.now())
            # An older master key may be unset once nothing on disk is sealed under it.
            reseal_pin(self._settings.home, self._key_ring)
            reseal_revocations(places.revocations_path(self._settings), self._key_ring)
            revoked = read_revocations(places.revocations_path(self._settings), self._key_ring)
            sources = SnapshotSources(
                self._settings, operator, self._key_ring, revoked, memory=self._memory
            )
            try:
                built = await self._build(sources)
            except IntegrityError:  # another host made the same tenant or key: now it is found
                built = await self._build(sources)
        return await asyncio.to_thread(self._keep, built, signer)

    def take_last(self, trouble: SqlAwayError) -> KeptSnapshot:
        """The snapshot on disk, to serve from while SQL is away. SqlAwayError without a fresh one.

        It stays as it was signed: a mock that listens elsewhere by now is found when SQL is back.
        """
        age_s = read_age_s(self._settings.home)
        most_s = self._settings.snapshot_max_stale_s
        held = self._read_held() if age_s is not None and age_s <= most_s else None
        if held is None or held.public_key is None:
            what = "there is no signed snapshot yet" if age_s is None or held else (
                f"the last snapshot was confirmed {age_s:.0f} s ago, over "
                f"APEX_SNAPSHOT_MAX_STALE_S={most_s}"
            )  # fmt: skip
            raise SqlAwayError(f"{trouble.message}, and {what}", trouble.hint) from trouble
        return KeptSnapshot(held.snapshot, is_new=False, new_keys=[])

    async def _build(self, sources: SnapshotSources) -> BuiltSnapshot:
        return await build_snapshot(sources, self._engine, UNNUMBERED, self._clock)

    def _keep(self, built: BuiltSnapshot, signer: SnapshotSigner) -> KeptSnapshot:
        """Number it after the one on disk; of several processes of a home one at a time does."""
        path = places.snapshot_path(self._settings)
        with places.snapshot_lock_path(self._settings).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = self._read_held()
            if held is not None and _is_same(held, built.snapshot, signer):
                number = held.snapshot.number
                if sealed_under(path.read_bytes()) != self._key_ring.key_id:
                    write_snapshot_file(path, held.snapshot, self._key_ring, signer, number)
                os.utime(path)  # as new as apex.yaml: a lone proxy need not have it built again
                self._held = held._replace(written_ns=path.stat().st_mtime_ns)
                return KeptSnapshot(held.snapshot, is_new=False, new_keys=built.new_keys)
            number = held.snapshot.number if held else 0
            snapshot = dataclasses.replace(built.snapshot, number=number + 1)
            write_snapshot_file(path, snapshot, self._key_ring, signer, number, self._dumps)
            self._held = _Held(path.stat().st_mtime_ns, snapshot, signer.public_key)
        return KeptSnapshot(snapshot, is_new=True, new_keys=built.new_keys)

    def is_made_by_api(self, tenant: str, key_id: str) -> bool:
        """Whether that key is the tenant's and the admin API made it, as SQL last said."""
        row = self._memory.reader.find_key(key_id)
        return row is not None and row["tenant"] == tenant and row["managed_by"] == BY_API

    def _read_held(self) -> "_Held | None":
        """What lies on disk; read again only when somebody else wrote it. ConfigError."""
        path = places.snapshot_path(self._settings)
        if not path.exists():
            return None
        written_ns = path.stat().st_mtime_ns
        if self._held is not None and self._held.written_ns == written_ns:
            return self._held
        trusted = read_pin(path.parent, self._key_ring)
        try:
            snapshot = read_snapshot_file(path, self._key_ring, trusted)
        except ConfigError:  # of a version that did not sign, or of another key: to be written anew
            return _Held(written_ns, read_own_snapshot(path, self._key_ring), None)
        return _Held(written_ns, snapshot, trusted)


class _Held(NamedTuple):
    """What is on disk, since when, and which public key it is good by; None: it needs signing."""

    written_ns: int
    snapshot: Snapshot
    public_key: bytes | None


def needs_mock(source: OperatorConfig | Snapshot) -> bool:
    """Whether any upstream is the built-in mock."""
    return any(upstream.kind == MOCK_KIND for upstream in source.upstreams.values())


def _is_same(held: _Held, built: Snapshot, signer: SnapshotSigner) -> bool:
    """Whether proxies find this very content on disk, signed by whom they are to trust."""
    before = held.snapshot
    renumbered = dataclasses.replace(built, number=before.number, built_at=before.built_at)
    return held.public_key == signer.public_key and before == renumbered
