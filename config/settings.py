"""The environment, read once into a frozen value: the only module that looks at it.

main.py calls `load_settings` and passes the result down; `describe_settings` feeds the docs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

from config.errors import ConfigError, nearest, suggest

PREFIX = "APEX_"
MIN_SECRET_CHARACTERS = 32
MOST_CLOCK_SCALE = 10_000

Environment = Literal["development", "staging", "production"]
LogFormat = Literal["text", "json"]
ENVIRONMENTS: tuple[Environment, ...] = ("development", "staging", "production")
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
SQL_SCHEMES = ("sqlite+aiosqlite", "postgresql+asyncpg")
COLUMNAR_SCHEMES = ("chdb", "clickhouse", "clickhouses")
KV_SCHEMES = ("memory", "redis", "rediss", "redis+cluster", "rediss+cluster")
MASTER_KEY_ID = re.compile(r"[a-z0-9]{1,16}")
MOST_MASTER_KEYS = 8

# (name, default as the docs show it, meaning): the whole public contract of the environment.
SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("APEX_CONFIG", "none", "Path of apex.yaml; without it the built-in upstream serves."),
    ("APEX_HOME", "./.apex", "Directory of all state; one running gateway owns it."),
    ("APEX_HOST", "127.0.0.1", "Address both ports listen on."),
    (
        "APEX_PROXY_PORT",
        "8080",
        "Data-plane port; 0 picks a free one. Taken: the default moves on, a set one is an error.",
    ),
    ("APEX_ADMIN_PORT", "8081", "Control-plane port, same rules."),
    ("APEX_WORKERS", "1", "Proxy processes, 1 to 64."),
    (
        "APEX_SQL_URL",
        "sqlite+aiosqlite:///{home}/apex.db",
        "Tenants, keys, state: sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/name.",
    ),
    (
        "APEX_COLUMNAR_URL",
        "chdb://{home}/columnar",
        "Usage events: chdb:///directory or clickhouse://user@host:8123/name (clickhouses: TLS).",
    ),
    (
        "APEX_KV_URL",
        "memory://",
        "Caches and limits: memory:// (per process), redis://host:6379/0, rediss:// (TLS), or "
        "redis+cluster://host1:6379,host2:6379.",
    ),
    (
        "APEX_KV_DEADLINE_MS",
        "20",
        "How long an answer of Redis is waited for, 1 to 1000; then the request goes on without.",
    ),
    (
        "APEX_ENVIRONMENT",
        "development",
        "development, staging or production; the last two require both secrets below.",
    ),
    ("APEX_ADMIN_TOKEN", "none", "Bearer token of the admin API, at least 32 characters."),
    (
        "APEX_MASTER_KEY",
        "none",
        "Root of every other secret, at least 32 characters; development makes one in the home.",
    ),
    (
        "APEX_SNAPSHOT_MAX_STALE_S",
        "86400",
        "Seconds the proxies serve, or start, without a control plane, 60 to a year; then not.",
    ),
    (
        "APEX_MASTER_KEYS",
        "none",
        "Instead of it, for a rotation: k2:NEW,k1:OLD, the one in use first; alone it is k1.",
    ),
    ("APEX_LOG_FORMAT", "text", "text or json (severity as GCP reads it)."),
    (
        "APEX_CLOCK_SCALE",
        "1",
        "Development only: events' time runs this many times as fast; they are marked simulated.",
    ),
    (
        "APEX_CLOCK_ORIGIN",
        "none",
        "Development only: SIMULATED=REAL, two instants: the first is shown at the second.",
    ),
)


class MasterKey(NamedTuple):
    """A master key and the id by which what it sealed names it."""

    key_id: str
    secret: str


class ClockOrigin(NamedTuple):
    """Two instants in unix seconds: a simulated clock shows the first at the second."""

    simulated_s: float
    real_s: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked; secrets and the environment stay out of its repr."""

    config_path: Path | None
    home: Path
    host: str
    proxy_port: int
    is_proxy_port_explicit: bool
    admin_port: int
    is_admin_port_explicit: bool
    workers: int
    sql_url: str = field(repr=False)  # may carry a password, as the next two
    columnar_url: str = field(repr=False)
    kv_url: str = field(repr=False)
    kv_deadline_ms: int
    environment: Environment
    admin_token: str | None = field(repr=False)
    master_key: str | None = field(repr=False)
    master_keys: tuple[MasterKey, ...] = field(repr=False)  # the one in use first; none: the above
    log_format: LogFormat
    snapshot_max_stale_s: int
    clock_scale: float
    clock_origin: ClockOrigin | None
    environ: Mapping[str, str] = field(repr=False)

    @property
    def has_sql_server(self) -> bool:
        """Whether SQL is a server with other writers, as opposed to a file of one process."""
        return not self.sql_url.startswith("sqlite")

    @property
    def has_columnar_server(self) -> bool:
        """Whether usage goes to a server, as opposed to a directory of one process."""
        return not self.columnar_url.startswith("chdb")

    @property
    def has_server(self) -> bool:
        """Whether either is one: lone proxies then need a process that speaks to it."""
        return self.has_sql_server or self.has_columnar_server


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check `environ` (the process's own when None); ConfigError names the variable."""
    environ = MappingProxyType(dict(os.environ if environ is None else environ))
    _refuse_unknown(environ)
    home = Path(_text(environ, "APEX_HOME") or ".apex").expanduser().absolute()
    config = _text(environ, "APEX_CONFIG")
    settings = Settings(
        config_path=Path(config).expanduser().absolute() if config else None,
        home=home,
        host=_text(environ, "APEX_HOST") or "127.0.0.1",
        proxy_port=_integer(environ, "APEX_PROXY_PORT", 8080, (0, 65535)),
        is_proxy_port_explicit=bool(_text(environ, "APEX_PROXY_PORT")),
        admin_port=_integer(environ, "APEX_ADMIN_PORT", 8081, (0, 65535)),
        is_admin_port_explicit=bool(_text(environ, "APEX_ADMIN_PORT")),
        workers=_integer(environ, "APEX_WORKERS", 1, (1, 64)),
        sql_url=_url(environ, "APEX_SQL_URL", f"sqlite+aiosqlite:///{home}/apex.db", SQL_SCHEMES),
        columnar_url=_url(
            environ, "APEX_COLUMNAR_URL", f"chdb://{home}/columnar", COLUMNAR_SCHEMES
        ),
        kv_url=_url(environ, "APEX_KV_URL", "memory://", KV_SCHEMES),
        kv_deadline_ms=_integer(environ, "APEX_KV_DEADLINE_MS", 20, (1, 1000)),
        environment=cast(Environment, _choice(environ, "APEX_ENVIRONMENT", ENVIRONMENTS)),
        admin_token=_text(environ, "APEX_ADMIN_TOKEN"),
        master_key=_text(environ, "APEX_MASTER_KEY"),
        master_keys=parse_master_keys(_text(environ, "APEX_MASTER_KEYS") or "", "APEX_MASTER_KEYS"),
        log_format=cast(LogFormat, _choice(environ, "APEX_LOG_FORMAT", LOG_FORMATS)),
        snapshot_max_stale_s=_integer(
            environ, "APEX_SNAPSHOT_MAX_STALE_S", 86_400, (60, 31_536_000)
        ),
        clock_scale=_integer(environ, "APEX_CLOCK_SCALE", 1, (1, MOST_CLOCK_SCALE)),
        clock_origin=_clock_origin(environ),
        environ=environ,
    )
    _check_ports(settings)
    _check_secrets(settings)
    _check_clock(settings)
    return settings


def describe_settings() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, in the order of the docs."""
    return list(SETTINGS)


def parse_master_keys(text: str, source: str) -> tuple[MasterKey, ...]:
    """The master keys of `k2:NEW,k1:OLD`, as in `source`; none of an empty text. ConfigError."""
    keys = tuple(MasterKey(*_split_key(part, source)) for part in text.split(",") if part.strip())
    if len({key.key_id for key in keys}) != len(keys) or len(keys) > MOST_MASTER_KEYS:
        raise ConfigError(
            f"{source} names a key id twice, or more than {MOST_MASTER_KEYS} keys",
            "write each id once, the key in use first: k2:NEW,k1:OLD",
        )
    return keys


def _split_key(part: str, source: str) -> tuple[str, str]:
    # What does not fit is not shown: it may be the key.
    key_id, separator, secret = part.strip().partition(":")
    if not separator or not MASTER_KEY_ID.fullmatch(key_id):
        raise ConfigError(
            f"{source} is no list of id:key with ids of small letters and digits",
            "write the key in use first: k2:NEW,k1:OLD; a key without an id was k1",
        )
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ConfigError(
            f"{source}: key {key_id} has {len(secret)} characters, at least "
            f"{MIN_SECRET_CHARACTERS} are needed",
            f'make one with: {source}="{key_id}:$(openssl rand -hex 32)"',
        )
    return key_id, secret


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [name for name, _, _ in SETTINGS]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = nearest(name, known)
            advice = f"did you mean {' or '.join(near)}? " if near else ""
            raise ConfigError(
                f"unknown environment variable {name}",
                f"{advice}names that begin with {PREFIX} are reserved: unset or rename it",
            )


def _text(environ: Mapping[str, str], name: str) -> str | None:
    # Compose files and shells hand over unset variables as empty ones.
    return environ.get(name, "").strip() or None


def _integer(environ: Mapping[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    text = _text(environ, name)
    if text is None:
        return default
    lowest, highest = bounds
    value = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if not lowest <= value <= highest:
        raise ConfigError(
            f"{name} is {text!r}, which is not a whole number from {lowest} to {highest}",
            f"set {name}={default}, or unset it for that default",
        )
    return value


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = _text(environ, name)
    if text is None:
        return choices[0]
    if text not in choices:
        near = nearest(text, choices, limit=1)
        raise ConfigError(
            f"{name} is {text!r}, which is none of {', '.join(choices)}",
            f"set {name}={near[0] if near else choices[0]}",
        )
    return text


def _url(environ: Mapping[str, str], name: str, default: str, schemes: tuple[str, ...]) -> str:
    url = _text(environ, name) or default
    scheme, separator, rest = url.partition("://")
    # The URL may hold a password: only its scheme is ever shown.
    if not separator or scheme not in schemes:
        shown = repr(scheme) if separator else "missing"
        raise ConfigError(
            f"{name} has an unknown scheme: {shown}",
            f"{suggest(scheme if separator else '', [f'{known}://' for known in schemes])}",
        )
    if scheme != "memory" and not rest.strip("/"):
        raise ConfigError(
            f"{name} is {url!r}, which names no place", f"write it as in {default}, or unset it"
        )
    return url


def _clock_origin(environ: Mapping[str, str]) -> ClockOrigin | None:
    text = _text(environ, "APEX_CLOCK_ORIGIN")
    if text is None:
        return None
    try:
        instants = [_instant_s(part) for part in text.split("=")]
        origin = ClockOrigin(*instants)
    except (ValueError, TypeError, OverflowError):
        raise ConfigError(
            f"APEX_CLOCK_ORIGIN is {text!r}, which is not SIMULATED=REAL",
            "write two instants: APEX_CLOCK_ORIGIN=2026-11-01T00:00:00Z=2026-11-25T09:00:00Z",
        ) from None
    return origin


def _instant_s(text: str) -> float:
    instant = datetime.fromisoformat(text.strip())
    seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    if seconds < 0:
        raise ValueError
    return seconds


def _check_clock(settings: Settings) -> None:
    """A simulated time is nobody's bill, and needs a point at which all processes agree."""
    if settings.clock_origin is None:
        if settings.clock_scale != 1:
            raise ConfigError(
                "APEX_CLOCK_SCALE needs APEX_CLOCK_ORIGIN",
                "say which simulated instant is which real one: APEX_CLOCK_ORIGIN=SIMULATED=REAL",
            )
    elif settings.environment != "development":
        raise ConfigError(
            f"APEX_CLOCK_ORIGIN is for development, and APEX_ENVIRONMENT is {settings.environment}",
            "unset APEX_CLOCK_SCALE and APEX_CLOCK_ORIGIN: real usage needs the real time",
        )


def _check_ports(settings: Settings) -> None:
    if settings.proxy_port == settings.admin_port != 0:
        raise ConfigError(
            f"the proxy and the admin port are both {settings.proxy_port}",
            "set APEX_PROXY_PORT and APEX_ADMIN_PORT to different numbers",
        )


def _check_secrets(settings: Settings) -> None:
    if settings.master_key and settings.master_keys:
        raise ConfigError(
            "APEX_MASTER_KEY and APEX_MASTER_KEYS are both set",
            "keep APEX_MASTER_KEYS; the key of APEX_MASTER_KEY is k1 there",
        )
    master_key = settings.master_keys[0].secret if settings.master_keys else settings.master_key
    for name, value in (
        ("APEX_MASTER_KEY", master_key),
        ("APEX_ADMIN_TOKEN", settings.admin_token),
    ):
        _check_secret(settings.environment, name, value)


def _check_secret(environment: Environment, name: str, value: str | None) -> None:
    how = f'make one with: {name}="$(openssl rand -hex 32)"'
    if value is None:
        if environment != "development":
            raise ConfigError(f"{name} is required when APEX_ENVIRONMENT is {environment}", how)
        return
    is_short = len(value) < MIN_SECRET_CHARACTERS
    # In development a short admin token is the developer's own business; a weak root never is.
    if is_short and (environment != "development" or name == "APEX_MASTER_KEY"):
        raise ConfigError(
            f"{name} has {len(value)} characters, at least {MIN_SECRET_CHARACTERS} are needed", how
        )
