"""Refuses engine URLs that this version, or a role on its own, cannot serve."""

from typing import NoReturn

from config.errors import ConfigError
from config.settings import Settings


def check_engines(settings: Settings) -> None:
    """ConfigError for an engine whose turn comes with a later version."""
    if settings.sql_url.startswith("postgresql+asyncpg://"):
        raise ConfigError(
            "APEX_SQL_URL=postgresql+asyncpg:// is not served by this version:"
            " it arrives with the control plane",
            "unset APEX_SQL_URL: an SQLite file in APEX_HOME then serves",
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
