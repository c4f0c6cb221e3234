"""Keeps the sealed snapshot on disk true to apex.yaml and the stored keys; for control, prepare.

A snapshot gets the next number only when its content changed, so that a restart of the control
process makes no proxy read it again.
"""

import dataclasses
import os

from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.operator import OperatorConfig, UpstreamConfig
from config.provider_kinds import MOCK_KIND
from config.secrets import KeyRing, sealed_under
from config.settings import Settings
from policies.declared import load_declared
from policies.snapshot import Snapshot, dump_snapshot, read_snapshot_file, write_snapshot_file
from policies.snapshot_builder import SnapshotSources, build_snapshot
from roles import places

MOCK_KEY = "sk-mock"


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
        path = places.snapshot_path(self._settings)
        held = read_snapshot_file(path, self._key_ring) if path.exists() else None
        sources = SnapshotSources(self._settings, operator, self._key_ring)
        number = held.number + 1 if held else 1
        built = await build_snapshot(sources, self._engine, number, self._clock)
        if held is not None and _is_same(held, built.snapshot):
            if sealed_under(path.read_bytes()) != self._key_ring.key_id:
                write_snapshot_file(path, held, self._key_ring)
            os.utime(path)  # as new as apex.yaml: a lone proxy need not have it built again
            return KeptSnapshot(held, is_new=False, new_keys=built.new_keys)
        write_snapshot_file(path, built.snapshot, self._key_ring)
        return KeptSnapshot(built.snapshot, is_new=True, new_keys=built.new_keys)


def needs_mock(operator: OperatorConfig) -> bool:
    """Whether any upstream is the built-in mock."""
    return any(upstream.kind == MOCK_KIND for upstream in operator.upstreams.values())


def _is_same(held: Snapshot, built: Snapshot) -> bool:
    renumbered = dataclasses.replace(built, number=held.number, built_at=held.built_at)
    return dump_snapshot(held) == dump_snapshot(renumbered)
