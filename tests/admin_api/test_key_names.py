"""Keys by name: from SQL, from the snapshot, and where neither knows them."""

from pathlib import Path

from admin_api.key_names import name_key, name_keys, read_key_names
from config.secrets import KeyRing
from policies.api_key_store import insert_key
from policies.keys import generate_key
from policies.tenant_store import insert_tenant
from storage.migrations import migrate_sql
from storage.sql import open_sql
from tests.policies.samples import make_snapshot


async def test_generated_and_declared_keys_have_names(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'apex.db'}"
    await migrate_sql(url)
    engine = open_sql(url)
    try:
        async with engine.begin() as connection:
            await insert_tenant(connection, {"name": "globex"}, 1.0)
            made, values = generate_key(), {"tenant": "globex", "name": "ci"}
            await insert_key(connection, values, made, KeyRing(b"m" * 32), 1.0)
        names = await read_key_names(engine, make_snapshot())
        assert names == {made.key_id: "globex/ci", "abcdefgh": "acme/app"}
        assert await read_key_names(engine, None) == {made.key_id: "globex/ci"}
    finally:
        await engine.dispose()


async def test_a_store_that_is_away_costs_names_and_not_the_report(tmp_path: Path) -> None:
    engine = open_sql(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    try:
        assert await read_key_names(engine, make_snapshot()) == {"abcdefgh": "acme/app"}
    finally:
        await engine.dispose()


def test_rows_and_details_keep_the_id_beside_the_name() -> None:
    rows = [{"key": "k1", "requests": 2}, {"key": "gone", "requests": 1}]
    assert name_keys(rows, {"k1": "acme/app"}) == [
        {"key": "acme/app", "key_id": "k1", "requests": 2},
        {"key": "gone", "key_id": "gone", "requests": 1},
    ]
    detail = name_key({"request_id": "r", "key_id": "k1", "attempts": 1}, {"k1": "acme/app"})
    assert list(detail.items())[1:3] == [("key", "acme/app"), ("key_id", "k1")]
    assert name_key({"key_id": "gone"}, {}) == {"key": "gone", "key_id": "gone"}
