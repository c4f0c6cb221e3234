"""Keeps the sealed snapshot on disk true to apex.yaml and SQL; for control, prepare, companion.

A snapshot gets the next number only when its content changed, so that a restart of the control
process makes no proxy read it again.
"""

import asyncio
import dataclasses
import fcntl
import os

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.operator import OperatorConfig, UpstreamConfig
from config.provider_kinds import MOCK_KIND
from config.secrets import KeyRing
from config.settings import Settings
from policies.declared import load_declared
from policies.snapshot import Snapshot, dump_snapshot, read_snapshot_file, write_snapshot_file
from policies.snapshot_age import read_age_s
from policies.snapshot_builder import BuiltSnapshot, SnapshotSources, build_snapshot
from roles import places
from storage.sql_errors import SqlAwayError, naming_sql_trouble

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
        sources = SnapshotSources(self._settings, operator, self._key_ring)
        with naming_sql_trouble(self._settings.sql_url):
            try:
                built = await self._build(sources)
            except IntegrityError:  # another host made the same tenant or key: now it is found
                built = await self._build(sources)
        return await asyncio.to_thread(self._keep, built)

    def take_last(self, trouble: SqlAwayError) -> KeptSnapshot:
        """The snapshot on disk, to serve from while SQL is away. SqlAwayError without a fresh one.

        Its mock upstreams are pointed at the mock that runs now.
        """
        age_s = read_age_s(self._settings.home)
        most_s = self._settings.max_stale_s
        if age_s is None or age_s > most_s:
            what = "there is no snapshot yet" if age_s is None else (
                f"the last snapshot was confirmed {age_s:.0f} s ago, over APEX_MAX_STALE_S={most_s}"
            )  # fmt: skip
            raise SqlAwayError(f"{trouble.message}, and {what}", trouble.hint) from trouble
        held = read_snapshot_file(places.snapshot_path(self._settings), self._key_ring)
        base_url = f"{self._mock_url}/v1"
        upstreams = {
            name: dataclasses.replace(each, base_url=base_url) if each.kind == MOCK_KIND else each
            for name, each in held.upstreams.items()
        }
        moved = dataclasses.replace(held, upstreams=upstreams)
        return self._keep(BuiltSnapshot(moved, new_keys=[]), is_confirmed=False)

    async def _build(self, sources: SnapshotSources) -> BuiltSnapshot:
        return await build_snapshot(sources, self._engine, UNNUMBERED, self._clock)

    def _keep(self, built: BuiltSnapshot, *, is_confirmed: bool = True) -> KeptSnapshot:
        """Number it after the one on disk; of several processes of a home one at a time does."""
        path = places.snapshot_path(self._settings)
        with places.snapshot_lock_path(self._settings).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = read_snapshot_file(path, self._key_ring) if path.exists() else None
            if held is not None and _is_same(held, built.snapshot):
                if is_confirmed:
                    os.utime(path)  # as new as apex.yaml: a lone proxy need not have it built again
                return KeptSnapshot(held, is_new=False, new_keys=built.new_keys)
            times = path.stat() if held and not is_confirmed else None
            number = held.number + 1 if held else 1
            snapshot = dataclasses.replace(built.snapshot, number=number)
            write_snapshot_file(path, snapshot, self._key_ring)
            if times is not None:  # it is no younger for a mock that moved
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        return KeptSnapshot(snapshot, is_new=True, new_keys=built.new_keys)


def needs_mock(source: OperatorConfig | Snapshot) -> bool:
    """Whether any upstream is the built-in mock."""
    return any(upstream.kind == MOCK_KIND for upstream in source.upstreams.values())


def _is_same(held: Snapshot, built: Snapshot) -> bool:
    renumbered = dataclasses.replace(built, number=held.number, built_at=held.built_at)
    return dump_snapshot(held) == dump_snapshot(renumbered)
