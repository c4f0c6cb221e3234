"""Which engine URLs are refused, and what the refusal names."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import Settings, load_settings
from roles.engines import check_can_split, check_engines, has_divided_caches, refuse_lone_admin


def settings(home: Path, **changes: str) -> Settings:
    return load_settings({"APEX_HOME": str(home), **changes})


def test_the_embedded_engines_and_clickhouse_are_served(tmp_path: Path) -> None:
    check_engines(settings(tmp_path))
    check_engines(settings(tmp_path, APEX_COLUMNAR_URL="clickhouse://u@localhost:8123/n"))


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


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("APEX_SQL_URL", "postgresql+asyncpg://u:secret@h/n"),
    ],
)
def test_later_engines_are_refused_by_name_and_without_their_password(
    tmp_path: Path, name: str, url: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_engines(settings(tmp_path, **{name: url}))
    assert name in caught.value.message
    assert f"unset {name}" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_half_a_control_plane_needs_server_engines(tmp_path: Path) -> None:
    embedded = settings(tmp_path)
    with pytest.raises(ConfigError, match="APEX_COLUMNAR_URL"):
        check_can_split(embedded, "worker")
    with pytest.raises(ConfigError, match="APEX_COLUMNAR_URL"):
        refuse_lone_admin(embedded)
    server = settings(tmp_path, APEX_COLUMNAR_URL="clickhouse://u@localhost:8123/n")
    check_can_split(server, "worker")
    with pytest.raises(ConfigError, match="APEX_SQL_URL"):
        refuse_lone_admin(server)


@pytest.mark.parametrize(("workers", "is_divided"), [("1", False), ("2", True)])
def test_memory_is_divided_among_several_workers(
    tmp_path: Path, workers: str, is_divided: bool
) -> None:
    assert has_divided_caches(settings(tmp_path, APEX_WORKERS=workers)) is is_divided
