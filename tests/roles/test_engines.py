"""Which engines serve which role, and what a refusal names."""

from itertools import product
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import Settings, load_settings
from roles.engines import ROLES, Role, check_engines, check_role, has_divided_caches
from tests.roles.engine_rows import COLUMNAR_URLS, ENGINE_ROWS, SQL_URLS, EngineRow


def settings(home: Path, **changes: str) -> Settings:
    return load_settings({"APEX_HOME": str(home), **changes})


@pytest.mark.parametrize(
    "url", ["redis://h:6379/0", "rediss://h", "redis+cluster://h1:6379,h2:6379"]
)
def test_redis_and_its_clusters_are_served_and_divide_nothing(tmp_path: Path, url: str) -> None:
    served = settings(tmp_path, APEX_KV_URL=url, APEX_WORKERS="2")
    check_engines(served)
    assert not has_divided_caches(served)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:secret@host:port/0",
        "redis+cluster://u:secret@a:6379,,b:6379",
        "redis://u:secret@:6379",
        "redis://host:99999",
    ],
)
def test_a_kv_server_that_cannot_be_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="APEX_KV_URL") as caught:
        check_engines(settings(tmp_path, APEX_KV_URL=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("row", ENGINE_ROWS, ids=lambda row: f"{row.sql}-{row.columnar}")
def test_each_combination_is_served_or_refused_as_the_table_says(
    tmp_path: Path, row: EngineRow, role: Role
) -> None:
    urls = {
        "APEX_SQL_URL": SQL_URLS[row.sql],
        "APEX_COLUMNAR_URL": COLUMNAR_URLS[row.columnar],
    }
    given = settings(tmp_path, **urls)
    said = row.roles[role]
    if not said.startswith("refused"):
        check_role(given, role)
        return
    with pytest.raises(ConfigError) as caught:
        check_role(given, role)
    name = said.removeprefix("refused: ").strip("`")
    assert caught.value.hint.startswith(f"set {name}=")
    assert f"{role} alone" in caught.value.message
    assert "secret" not in str(caught.value)


def test_the_table_has_every_pair_of_engines() -> None:
    told = {(row.sql, row.columnar.removesuffix(" over TLS")) for row in ENGINE_ROWS}
    assert told == set(product(SQL_URLS, ("chDB", "ClickHouse")))


@pytest.mark.parametrize(("workers", "is_divided"), [("1", False), ("2", True)])
def test_memory_is_divided_among_several_workers(
    tmp_path: Path, workers: str, is_divided: bool
) -> None:
    assert has_divided_caches(settings(tmp_path, APEX_WORKERS=workers)) is is_divided
