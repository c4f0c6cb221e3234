"""From rows to the records of a snapshot: tenants, projects and keys that are in force. No I/O.

Used by the snapshot builder, for what apex.yaml declares and what the admin API made alike.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from config.secrets import KeyRing
from policies.api_key_store import name_of
from policies.limits import load_limits
from policies.snapshot import KeyRecord, ProjectRecord, TenantRecord
from policies.stored_state import Row

# An expired key stays known for a while, so that its caller is told what is wrong with it.
EXPIRED_KEPT_S = 7 * 86_400

# What a key's record was made of, by its id: ten thousand are not made anew at each change.
Known = dict[str, tuple[Row, ProjectRecord | None, KeyRecord]]

_log = logging.getLogger(__name__)


def tenant_record(row: Row, revision: str, *, is_demo: bool) -> TenantRecord:
    """A tenant, governed by the policy of this revision."""
    limits = load_limits(row["limits"])
    return TenantRecord(row["name"], revision, None, is_demo, row["time_zone"], limits)


def project_records(
    rows: Iterable[Row], tenants: Mapping[str, TenantRecord]
) -> dict[tuple[str, str], ProjectRecord]:
    """Open projects of open tenants, in order of their names."""
    found = {
        (row["tenant"], row["name"]): ProjectRecord(
            row["tenant"], row["name"], dict(row["tags"] or {}), load_limits(row["limits"])
        )
        for row in rows
        if row["tenant"] in tenants and row["archived_at"] is None
    }
    return dict(sorted(found.items()))


class KeySelection:
    """Says which keys are in force: neither archived nor long expired, all that is theirs open."""

    def __init__(
        self,
        tenants: Mapping[str, TenantRecord],
        projects: Mapping[tuple[str, str], ProjectRecord],
        key_ring: KeyRing,
        now: float,
        known: Known | None = None,
    ) -> None:
        self._tenants = tenants
        self._projects = projects
        self._key_ring = key_ring
        self._now = now
        self._known = {} if known is None else known

    def records(self, rows: Iterable[Row]) -> dict[str, KeyRecord]:
        """Their records by id, in order."""
        chosen = {row["key_id"]: row for row in rows if self._is_in_force(row)}
        for key_id in self._known.keys() - chosen.keys():
            del self._known[key_id]
        return {key_id: self._find(chosen[key_id]) for key_id in sorted(chosen)}

    def _is_in_force(self, row: Row) -> bool:
        if row["archived_at"] is not None or row["tenant"] not in self._tenants:
            return False
        if row["project"] and (row["tenant"], row["project"]) not in self._projects:
            return False
        if not self._key_ring.knows_pepper(row["pepper_id"]):
            _log.warning("key %s was made under a master key that is not set", row["key_id"])
            return False
        expires_at = seconds_of(row["expires_at"])
        return expires_at is None or expires_at > self._now - EXPIRED_KEPT_S

    def _find(self, row: Row) -> KeyRecord:
        """The record of the last time, where nothing that it is made of has changed."""
        project = self._projects.get((row["tenant"], row["project"]))
        known = self._known.get(row["key_id"])
        if known is not None and known[0] is row and known[1] == project:
            return known[2]
        record = self._record(row, project)
        self._known[row["key_id"]] = (row, project, record)
        return record

    def _record(self, row: Row, project: ProjectRecord | None) -> KeyRecord:
        return KeyRecord(
            key_id=row["key_id"],
            tenant=row["tenant"],
            name=name_of(row),
            secret_hmac=bytes.fromhex(row["secret_hmac"]),
            # A key's own tag wins over its project's.
            tags={**(project.tags if project else {}), **(row["tags"] or {})},
            project=row["project"],
            endpoints=tuple(row["endpoints"] or ()),
            models=tuple(row["models"] or ()),
            expires_at=seconds_of(row["expires_at"]),
            limits=load_limits(row["limits"]),
            output_tokens_cap=row["output_tokens_cap"],
            pepper_id=row["pepper_id"],
        )


def seconds_of(moment: datetime | None) -> float | None:
    """Unix seconds; SQLite gives moments without the zone they were stored in."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
