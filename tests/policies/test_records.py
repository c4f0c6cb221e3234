"""From rows to records: whose keys are in force, and what a key has from its project."""

from datetime import UTC, datetime
from typing import Any

from config.secrets import KeyRing
from policies.limits import Rates, UsageLimits, dump_limits
from policies.records import (
    EXPIRED_KEPT_S,
    KeySelection,
    Known,
    project_records,
    seconds_of,
    tenant_record,
)
from policies.snapshot import KeyRecord, TenantRecord

NOW = 1_790_000_000.0


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def key_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key_id": "aaaaaaaa", "tenant": "acme", "name": "app", "secret_hmac": "ab" * 32,
        "pepper_id": "k1", "tags": {"own": "1"}, "project": "", "endpoints": None, "models": None,
        "expires_at": None, "limits": None, "output_tokens_cap": None, "archived_at": None,
    }  # fmt: skip
    return row | changes


def chosen(*rows: dict[str, Any]) -> list[str]:
    tenants = {"acme": TenantRecord("acme", "p@1", None, is_demo=False)}
    project = {"tenant": "acme", "name": "open", "tags": {"own": "0", "team": "s"}, "limits": None,
               "archived_at": None}  # fmt: skip
    projects = project_records([project, {**project, "name": "x", "archived_at": at(1)}], tenants)
    records = KeySelection(tenants, projects, KeyRing(b"m" * 32), NOW).records(rows)
    return [f"{key.name} {sorted(key.tags.items())}" for key in records.values()]


def test_what_is_not_in_force_is_left_out() -> None:
    assert len(chosen(key_row())) == 1
    assert len(chosen(key_row(expires_at=at(NOW - EXPIRED_KEPT_S + 1)))) == 1
    for changes in (
        {"archived_at": at(1)}, {"tenant": "closed"}, {"project": "x"}, {"pepper_id": "k0"},
        {"expires_at": at(NOW - EXPIRED_KEPT_S)},
    ):  # fmt: skip
        assert chosen(key_row(**changes)) == [], changes


def test_a_key_has_its_projects_tags_below_its_own() -> None:
    assert chosen(key_row(project="open")) == ["app [('own', '1'), ('team', 's')]"]
    assert chosen(key_row(name="app~aaaaaaaa")) == ["app [('own', '1')]"]


def test_a_tenant_keeps_its_zone_and_limits() -> None:
    limits = UsageLimits(Rates(concurrency=2))
    row = {"name": "acme", "time_zone": "Asia/Tokyo", "limits": dump_limits(limits)}
    record = tenant_record(row, "p@1", is_demo=True)
    assert (record.name, record.time_zone, record.is_demo) == ("acme", "Asia/Tokyo", True)
    assert record.limits == limits


def test_a_moment_without_a_zone_is_utc() -> None:
    assert seconds_of(at(NOW)) == seconds_of(at(NOW).replace(tzinfo=None)) == NOW
    assert seconds_of(None) is None


def test_a_record_is_made_anew_only_when_its_row_or_project_changed() -> None:
    tenants = {"acme": TenantRecord("acme", "p@1", None, is_demo=False)}
    project = {"tenant": "acme", "name": "p", "tags": {"a": "1"}, "limits": None,
               "archived_at": None}  # fmt: skip
    known: Known = {}
    key_ring = KeyRing(b"m" * 32)

    def records(row: dict[str, Any], tags: dict[str, str]) -> dict[str, KeyRecord]:
        projects = project_records([{**project, "tags": tags}], tenants)
        return KeySelection(tenants, projects, key_ring, NOW, known).records([row])

    row = key_row(project="p")
    (first,) = records(row, {"a": "1"}).values()
    (again,) = records(row, {"a": "1"}).values()
    assert again is first
    (other,) = records(row, {"a": "2"}).values()
    assert other.tags["a"] == "2"
    (changed,) = records({**row, "name": "new"}, {"a": "2"}).values()
    assert changed.name == "new"
    assert records(key_row(archived_at=at(1)), {}) == {}
    assert known == {}
