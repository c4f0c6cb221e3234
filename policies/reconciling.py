"""Brings what SQL says of apex.yaml's tenants, projects and keys in line with the file. No I/O.

Used by the snapshot builder. What the file no longer names is archived and never removed: usage
names it. What the admin API made is the API's; a name in both is refused.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from config.errors import ConfigError
from config.operator_model import KeyConfig, TenantConfig
from config.secrets import KeyRing
from policies.api_key_store import DATA_PLANE_SCOPE, retired_name
from policies.declared_limits import stored_limits
from policies.keys import ID_CHARS, generate_key, key_hmac, parse_key_id
from policies.records import seconds_of
from policies.stored_state import Row, StoredState, Writes
from storage.tables import BY_API, BY_FILE, api_keys, projects, tenants

OWN = ""  # last4 of a secret that is the operator's own text: it is not ours to show


class Reconciler:
    """One pass over apex.yaml; `now` in Unix seconds.

    `writes` is what has to be written; `new_secrets` are (tenant, key name, secret) of keys made.
    """

    def __init__(self, stored: StoredState, key_ring: KeyRing, now: float) -> None:
        self.writes = Writes()
        self.new_secrets: list[tuple[str, str, str]] = []
        self.late_revocations: list[Row] = []  # as they were before
        self.keys: dict[str, Row] = {}  # of the file, by id, as they are from now on
        self._stored = stored
        self._key_ring = key_ring
        self._moment = datetime.fromtimestamp(now, UTC)
        self._by_name = {(row["tenant"], row["name"]): row for row in stored.keys.values()}

    def take(self, declared: Mapping[str, TenantConfig]) -> None:
        """Everything the file declares. ConfigError."""
        for name, tenant in declared.items():
            self._take_tenant(name, tenant)
            for project, config in tenant.projects.items():
                values = {
                    "tags": dict(config.tags),
                    "limits": stored_limits(config.limits),
                }
                named = {"tenant": name, "name": project}
                self._put(projects, named, self._stored.projects.get((name, project)), values)
            for key in tenant.keys:
                self._take_key(name, key)
        self._archive_the_rest(declared)

    def revoke(self, revoked: Mapping[str, float]) -> None:
        """Keys of the API that were revoked while SQL was away: by id, when in Unix seconds."""
        for key_id, moment in revoked.items():
            row = self._stored.keys.get(key_id)
            if row is not None and row["managed_by"] == BY_API:
                values = {
                    "revoked_at": datetime.fromtimestamp(moment, UTC),
                    "name": retired_name(row),
                }
                self._change(api_keys, {"key_id": key_id}, row, values)
                self.late_revocations.append(row)

    def _take_tenant(self, name: str, config: TenantConfig) -> None:
        values = {
            "tier": config.tier,
            "time_zone": config.time_zone,
            "limits": stored_limits(config.limits),
        }
        self._put(tenants, {"name": name}, self._stored.tenants.get(name), values)

    def _take_key(self, tenant: str, key: KeyConfig) -> None:
        named = self._by_name.get((tenant, key.name))
        if named is not None and named["managed_by"] == BY_API:
            raise _in_both(f"key {key.name!r} of tenant {tenant!r}")
        identity = self._identify(tenant, key, named)
        key_id = identity["key_id"]
        other = self.keys.get(key_id)
        if other is not None:
            raise ConfigError(
                f"key {key.name!r} of tenant {tenant!r} has the id of key {other['name']!r} of "
                f"tenant {other['tenant']!r}: {key_id}",
                "a secret belongs to one key: give one of them another, or rename it",
            )
        holder = named["key_id"] if named is not None else key_id
        if named is not None and holder != key_id and holder not in self.keys:
            self._retire(named)
        values = {**identity, "tenant": tenant, "name": key.name, **_attributes(key)}
        row = self._put(api_keys, {"key_id": key_id}, self._stored.keys.get(key_id), values)
        self.keys[key_id] = row

    def _identify(self, tenant: str, key: KeyConfig, named: Row | None) -> dict[str, Any]:
        """The key's id and what stands for its secret; makes both where none was given."""
        ring = self._key_ring
        if key.secret is not None:
            key_id = parse_key_id(key.secret) or _stable_key_id(tenant, key.name)
            digest = key_hmac(ring.pepper(), key.secret)
            return {"key_id": key_id, "secret_hmac": digest.hex(), "pepper_id": ring.key_id,
                    "last4": OWN}  # fmt: skip
        if named is None or named["last4"] == OWN:
            made = generate_key()
            self.new_secrets.append((tenant, key.name, made.secret))
            digest = key_hmac(ring.pepper(), made.secret)
            return {"key_id": made.key_id, "secret_hmac": digest.hex(), "pepper_id": ring.key_id,
                    "last4": made.secret[-4:]}  # fmt: skip
        if not ring.knows_pepper(named["pepper_id"]):
            raise ConfigError(
                f"key {key.name!r} of tenant {tenant!r} was made under master key "
                f"{named['pepper_id']!r}",
                f"set that master key in APEX_MASTER_KEYS, behind {ring.key_id!r}, and run "
                "rotate-master-key; or rename the key in apex.yaml to have a new one made",
            )
        return {name: named[name] for name in ("key_id", "secret_hmac", "pepper_id", "last4")}

    def _put(
        self, table: sa.Table, place: dict[str, Any], row: Row | None, values: dict[str, Any]
    ) -> Row:
        """Make a row true; nothing is written where it is. Returns the row as it is then."""
        values = {**values, "managed_by": BY_FILE, "archived_at": None}
        if row is None:
            made = {**place, **values, "created_at": self._moment, "updated_at": self._moment}
            self.writes.inserts.append((table, made))
            return made
        if row["managed_by"] == BY_API:
            raise _in_both(f"{table.name} {'/'.join(place.values())!r}")
        if not any(_is_other(row[name], value) for name, value in values.items()):
            return row
        self._change(table, place, row, values)
        return {**row, **values}

    def _change(
        self, table: sa.Table, place: dict[str, Any], row: Row, values: dict[str, Any]
    ) -> None:
        life = {"version": row["version"] + 1, "updated_at": self._moment}
        self.writes.updates.append((table, place, {**values, **life}))

    def _retire(self, row: Row) -> None:
        """A key of the file gives its name to another."""
        values = {"name": retired_name(row), "archived_at": self._moment}
        self._change(api_keys, {"key_id": row["key_id"]}, row, values)

    def _archive_the_rest(self, declared: Mapping[str, TenantConfig]) -> None:
        """What the file named once and names no longer."""
        over = {"archived_at": self._moment}
        for name, row in self._stored.tenants.items():
            if name not in declared and _is_open_of_file(row):
                self._change(tenants, {"name": name}, row, over)
        for (tenant, name), row in self._stored.projects.items():
            is_named = tenant in declared and name in declared[tenant].projects
            if not is_named and _is_open_of_file(row):
                self._change(projects, {"tenant": tenant, "name": name}, row, over)
        retired = {place["key_id"] for table, place, _ in self.writes.updates if table is api_keys}
        for key_id, row in self._stored.keys.items():
            if key_id not in self.keys and key_id not in retired and _is_open_of_file(row):
                self._change(api_keys, {"key_id": key_id}, row, over)


def _attributes(key: KeyConfig) -> dict[str, Any]:
    return {
        "project": key.project or "",
        "tags": dict(key.tags),
        "endpoints": list(key.endpoints),
        "models": list(key.models),
        "limits": stored_limits(key.limits),
        "output_tokens_cap": key.output_tokens_cap,
        "expires_at": key.expires_at,
        "scopes": [DATA_PLANE_SCOPE],
    }


def _is_other(stored: Any, value: Any) -> bool:
    """Whether a column says something else; SQLite knows no time zones."""
    if isinstance(stored, datetime) and isinstance(value, datetime):
        return seconds_of(stored) != seconds_of(value)
    return bool(stored != value)


def _is_open_of_file(row: Row) -> bool:
    return bool(row["managed_by"] == BY_FILE and row["archived_at"] is None)


def _in_both(what: str) -> ConfigError:
    return ConfigError(
        f"apex.yaml declares {what}, which the admin API made",
        "rename it in apex.yaml, or take it out of the file and change it over the API",
    )


def _stable_key_id(tenant: str, name: str) -> str:
    """The id of an operator's own key: it follows the name, so a new secret keeps its history."""
    digest = hashlib.sha256(f"{tenant}/{name}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:ID_CHARS]
