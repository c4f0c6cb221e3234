"""Which roles the engines that the URLs name can serve; what cannot work is refused by name.

`python main.py all` runs on any engine. A role of its own needs servers for what it shares with
the other roles. docs/engines.md has the table, made by `describe_combinations`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.settings import Settings

Role = Literal["all", "proxy", "admin", "worker"]
ROLES: tuple[Role, ...] = ("all", "proxy", "admin", "worker")


class Need(NamedTuple):
    """What a role cannot do without, and what to say where it is missing."""

    is_met: Callable[[Settings], bool]
    message: str
    hint: str


COLUMNAR_SERVER = Need(
    lambda settings: settings.has_columnar_server,
    "{role} alone cannot run on an embedded columnar store, which has one owner process",
    "set APEX_COLUMNAR_URL=clickhouse://user@host:8123/name, or run: python main.py all",
)
SQL_SERVER = Need(
    lambda settings: settings.has_sql_server,
    "{role} alone cannot run on an embedded SQL store, which has one writer process",
    "set APEX_SQL_URL=postgresql+asyncpg://user@host/name, or run: python main.py all",
)
# Lone proxies need no server: they write their log, and whoever has the store ships it later.
NEEDS: dict[Role, tuple[Need, ...]] = {
    "all": (),
    "proxy": (),
    "admin": (COLUMNAR_SERVER, SQL_SERVER),
    "worker": (COLUMNAR_SERVER,),
}


def check_engines(settings: Settings) -> None:
    """ConfigError for an engine whose turn comes with a later version."""
    if not settings.kv_url.startswith("memory://"):
        _check_kv_places(settings.kv_url)


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


def check_role(settings: Settings, role: Role) -> None:
    """ConfigError unless the engines can serve this role; it names the setting and the fix."""
    check_engines(settings)
    for need in NEEDS[role]:
        if not need.is_met(settings):
            raise ConfigError(need.message.format(role=role), need.hint)


def has_divided_caches(settings: Settings) -> bool:
    """Whether each proxy process keeps a cache and a share of the limits of its own."""
    return settings.kv_url.startswith("memory://") and settings.workers > 1
