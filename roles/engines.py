"""Refuses engine URLs that this version, or a role on its own, cannot serve."""

from typing import NoReturn
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.settings import Settings


def check_engines(settings: Settings) -> None:
    """ConfigError for an engine whose turn comes with a later version."""
    if not settings.kv_url.startswith("memory://"):
        _check_kv_places(settings.kv_url)
    if settings.sql_url.startswith("postgresql+asyncpg://"):
        raise ConfigError(
            "APEX_SQL_URL=postgresql+asyncpg:// is not served by this version:"
            " it arrives with the control plane",
            "unset APEX_SQL_URL: an SQLite file in APEX_HOME then serves",
        )


def _check_kv_places(url: str) -> None:
    """Every host of a Redis URL, without its driver, which only proxies need to import."""
    login_and_hosts = url.partition("://")[2].partition("/")[0].partition("?")[0]
    for place in login_and_hosts.rpartition("@")[2].split(","):
        try:
            parts = urlsplit(f"//{place.strip()}")
            is_place = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_place = False
        if not is_place:
            raise ConfigError(
                f"APEX_KV_URL names a server that is no host:port: {place!r}",
                "write redis://host:6379/0, or redis+cluster://host1:6379,host2:6379",
            )


def check_can_split(settings: Settings, role: str) -> None:
    """ConfigError unless `role` can run apart from the other half of the control plane."""
    check_engines(settings)
    if settings.columnar_url.startswith("chdb://"):
        raise ConfigError(
            f"{role} alone cannot run on an embedded columnar store, which has one owner process",
            "set APEX_COLUMNAR_URL=clickhouse://user@host:8123/name, or run: python main.py all",
        )


def refuse_lone_admin(settings: Settings) -> NoReturn:
    """ConfigError: the SQL store has one writer process, and no server engine serves it yet."""
    check_can_split(settings, "admin")
    raise ConfigError(
        "admin alone cannot run on an embedded SQL store, which has one writer process",
        "APEX_SQL_URL needs a server engine for that, and PostgreSQL arrives with the control"
        " plane; until then run: python main.py all",
    )


def has_divided_caches(settings: Settings) -> bool:
    """Whether each proxy process keeps a cache and a share of the limits of its own."""
    return settings.kv_url.startswith("memory://") and settings.workers > 1
