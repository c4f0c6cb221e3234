"""The immutable picture of what may happen, as the proxies read it: types, JSON form, sealed file.

Written by the control process (policies.snapshot_builder), read by every proxy. No SQL in here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from config.errors import ConfigError
from config.files import write_atomically
from config.operator_model import CacheConfig, EstimatesConfig, Limits, Timeouts
from config.secrets import FIRST_KEY_ID, NOTHING_KEPT, KeptKeys, KeyRing
from policies.limits import NO_LIMITS, UsageLimits, dump_limits, load_limits
from policies.model import Policy
from policies.snapshot_signing import PIN_FILE, SnapshotSigner, open_signed, read_pin, write_pin

SCHEMA = 1
SEAL_PURPOSE = "snapshot"
_HINT = "delete the file and start the control process again: it writes a new one"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where calls go; `base_url` is "" for kinds that have no address of their own."""

    name: str
    kind: str
    base_url: str
    api_key: str = field(repr=False)
    allow_private: bool
    region: str
    stream_usage: bool
    is_simulated: bool
    api_version: str = ""
    plays: str = "openai"  # the mock's only: the provider whose dialect it speaks


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a public model: an upstream and the upstream's own name of the model."""

    upstream: str
    model: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as the data plane knows it: never the secret, only its HMAC (32 bytes)."""

    key_id: str
    tenant: str
    name: str
    secret_hmac: bytes = field(repr=False)
    tags: dict[str, str]
    project: str = ""  # of the tenant; "" for none
    endpoints: tuple[str, ...] = ()  # it may call, by dialect; empty: all
    models: tuple[str, ...] = ()  # public names it may ask for; empty: all
    expires_at: float | None = None  # Unix seconds
    limits: UsageLimits = NO_LIMITS
    output_tokens_cap: int | None = None  # reserved for a request that names no maximum
    pepper_id: str = ""  # of its HMAC; "": that of the snapshot


@dataclass(frozen=True, slots=True)
class Credential:
    """A tenant's own key at a provider: sent in place of the operator's, to this host alone.

    `host` is "" for a provider whose kind has no address of its own.
    """

    tenant: str
    provider: str  # kind of the upstream
    host: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnUpstream:
    """An upstream that one tenant declared for itself, and what it serves there."""

    tenant: str
    upstream: Upstream  # its name begins with the tenant's and a slash
    models: dict[str, str]  # public name -> the upstream's own


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project of a tenant: what its keys share."""

    tenant: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    limits: UsageLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant, its limits, and the policies that govern it, by revision."""

    name: str
    policy_revision: str
    candidate_revision: str | None
    is_demo: bool
    time_zone: str = "UTC"  # IANA name: where its days, weeks and months begin
    limits: UsageLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a proxy needs to know. A higher number is newer; an older one never replaces."""

    number: int
    built_at: float
    environment: str
    upstreams: dict[str, Upstream]
    default_upstream: str | None
    models: dict[str, tuple[Target, ...]]
    keys_by_id: dict[str, KeyRecord]
    keys_by_hmac: dict[bytes, KeyRecord] = field(repr=False)
    tenants: dict[str, TenantRecord]
    policies: dict[str, Policy]  # by revision
    timeouts: Timeouts
    limits: Limits
    cache: CacheConfig
    price_book: str  # hash
    estimates: EstimatesConfig = field(default_factory=EstimatesConfig)
    projects: dict[tuple[str, str], ProjectRecord] = field(default_factory=dict)  # tenant, name
    pepper_id: str = FIRST_KEY_ID  # of keys that are found by their HMAC alone
    kept_keys: KeptKeys = NOTHING_KEPT  # of master keys that are no longer set
    credentials: tuple[Credential, ...] = ()
    own_upstreams: tuple[OwnUpstream, ...] = ()


def index_by_hmac(keys: Mapping[str, KeyRecord]) -> dict[bytes, KeyRecord]:
    """The same records by HMAC, for secrets that carry no key id."""
    return {record.secret_hmac: record for record in keys.values()}


def dump_snapshot(snapshot: Snapshot) -> bytes:
    """Canonical JSON. It holds provider keys in clear: only a sealed form may touch a disk."""
    document = {
        "schema": SCHEMA,
        "number": snapshot.number,
        "built_at": snapshot.built_at,
        "environment": snapshot.environment,
        "upstreams": list(snapshot.upstreams.values()),
        "default_upstream": snapshot.default_upstream,
        "models": snapshot.models,
        "keys": [_dump_key(record) for record in snapshot.keys_by_id.values()],
        "tenants": [_with_limits(each) for each in snapshot.tenants.values()],
        "projects": [_with_limits(each) for each in snapshot.projects.values()],
        "policies": [policy.model_dump(mode="json") for policy in snapshot.policies.values()],
        "timeouts": snapshot.timeouts.model_dump(mode="json"),
        "limits": snapshot.limits.model_dump(mode="json"),
        "cache": snapshot.cache.model_dump(mode="json"),
        "price_book": snapshot.price_book,
        "estimates": snapshot.estimates.model_dump(mode="json"),
        "pepper_id": snapshot.pepper_id,
        "kept_keys": dump_kept_keys(snapshot.kept_keys),
        "credentials": snapshot.credentials,
        "own_upstreams": snapshot.own_upstreams,
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def dump_kept_keys(kept: KeptKeys) -> dict[str, Any]:
    """As JSON; in clear, so only a sealed form may touch a disk."""
    return {"base": kept.base, "keys": {name: key.hex() for name, key in kept.keys.items()}}


def load_kept_keys(document: Mapping[str, Any]) -> KeptKeys:
    """Back from `dump_kept_keys`."""
    keys = {name: bytes.fromhex(key) for name, key in document["keys"].items()}
    return KeptKeys(document["base"], keys)


def _dump_key(record: KeyRecord) -> dict[str, Any]:
    return {**_with_limits(record), "secret_hmac": record.secret_hmac.hex()}


def _with_limits(record: KeyRecord | ProjectRecord | TenantRecord) -> dict[str, Any]:
    document = {name: getattr(record, name) for name in _NAMES[type(record)]}
    # Most have none, and there may be ten thousand.
    document["limits"] = None if record.limits.is_unlimited else dump_limits(record.limits)
    return document


_NAMES = {
    kind: tuple(each.name for each in fields(kind))
    for kind in (KeyRecord, ProjectRecord, TenantRecord)
}


def load_snapshot(data: bytes) -> Snapshot:
    """The snapshot of a dump. Raises ConfigError when it is none, or of another schema."""
    try:
        document = orjson.loads(data)
        schema = document["schema"]
        if schema == SCHEMA:
            return _read_document(document)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        # Only the kind of error: its text may quote provider keys.
        raise ConfigError(f"unreadable snapshot ({type(error).__name__})", _HINT) from None
    raise ConfigError(f"snapshot has schema {schema}, this version reads {SCHEMA}", _HINT)


def _read_document(document: dict[str, Any]) -> Snapshot:
    keys = {key["key_id"]: _read_key(key) for key in document["keys"]}
    policies = [Policy.model_validate(policy) for policy in document["policies"]]
    return Snapshot(
        number=document["number"],
        built_at=document["built_at"],
        environment=document["environment"],
        upstreams={each["name"]: Upstream(**each) for each in document["upstreams"]},
        default_upstream=document["default_upstream"],
        models={
            name: tuple(Target(**target) for target in targets)
            for name, targets in document["models"].items()
        },
        keys_by_id=keys,
        keys_by_hmac=index_by_hmac(keys),
        tenants={each["name"]: TenantRecord(**_read_limits(each)) for each in document["tenants"]},
        policies={policy.revision: policy for policy in policies},
        timeouts=Timeouts.model_validate(document["timeouts"]),
        limits=Limits.model_validate(document["limits"]),
        cache=CacheConfig.model_validate(document["cache"]),
        price_book=document["price_book"],
        # A snapshot of before there were estimates has none, and their default holds.
        estimates=EstimatesConfig.model_validate(document.get("estimates", {})),
        projects={
            (each["tenant"], each["name"]): ProjectRecord(**_read_limits(each))
            for each in document.get("projects", ())
        },
        # A snapshot of before there were rotations has none of these.
        pepper_id=document.get("pepper_id", FIRST_KEY_ID),
        kept_keys=load_kept_keys(document.get("kept_keys", {"base": "", "keys": {}})),
        credentials=tuple(Credential(**each) for each in document.get("credentials", ())),
        own_upstreams=tuple(_read_own(each) for each in document.get("own_upstreams", ())),
    )


def _read_own(own: dict[str, Any]) -> OwnUpstream:
    return OwnUpstream(own["tenant"], Upstream(**own["upstream"]), own["models"])


def _read_key(key: dict[str, Any]) -> KeyRecord:
    parts = {name: tuple(key.get(name, ())) for name in ("endpoints", "models")}
    secret_hmac = bytes.fromhex(key["secret_hmac"])
    return KeyRecord(**{**_read_limits(key), **parts, "secret_hmac": secret_hmac})


def _read_limits(record: dict[str, Any]) -> dict[str, Any]:
    """A snapshot of before there were limits has none."""
    return {**record, "limits": load_limits(record.get("limits"))}


def read_snapshot_file(path: Path, key_ring: KeyRing, trusted: bytes | None = None) -> Snapshot:
    """The snapshot of a sealed file, signed by `trusted` (a public key), or by the one pinned
    beside it. Raises ConfigError when missing, tampered, signed by others or unreadable.
    """
    try:
        sealed = path.read_bytes()
    except OSError as error:
        hint = "start the control process first: it writes the snapshot"
        raise ConfigError(f"cannot read the snapshot {path}: {error.strerror}", hint) from error
    try:
        trusted = trusted or read_pin(path.parent, key_ring)
        if trusted is None:
            raise ConfigError(f"{PIN_FILE} is missing, so nobody is trusted to sign", _HINT)
        signed = key_ring.unseal(SEAL_PURPOSE, sealed)
        return load_snapshot(open_signed(signed, trusted))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error


def read_own_snapshot(path: Path, key_ring: KeyRing) -> Snapshot:
    """For the control process, before it writes the next: what lies there, by whoever signed it.

    It may be of a version that did not sign. ConfigError.
    """
    return load_snapshot(key_ring.unseal(SEAL_PURPOSE, path.read_bytes()))


def write_snapshot_file(
    path: Path,
    snapshot: Snapshot,
    key_ring: KeyRing,
    signer: SnapshotSigner,
    held: int | None = None,
) -> None:
    """Signs and seals the snapshot and puts it in place at once, mode 0600; pins the signer's key.

    `held` is the number of what lies there, from whoever has just read it. Raises ConfigError when
    that is newer, or the file cannot be opened with this key.
    """
    if held is None and path.exists():
        held = read_own_snapshot(path, key_ring).number
    if held is not None and held > snapshot.number:
        hint = "another control process writes here: stop it, or use another APEX_HOME"
        message = f"{path}: snapshot {snapshot.number} would replace newer {held}"
        raise ConfigError(message, hint)
    if read_pin(path.parent, key_ring) != signer.public_key:
        write_pin(path.parent, signer.public_key, key_ring)
    sealed = key_ring.seal(SEAL_PURPOSE, signer.sign(dump_snapshot(snapshot)))
    write_atomically(path, sealed, mode=0o600, is_durable=True)
