"""Credentials at rest: opened for their own place alone, and shown by nothing."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from config.secrets import KeyRing
from policies.credential_store import (
    METADATA,
    DataKeyRaceError,
    delete_credential,
    find_bound,
    find_credential,
    insert_credential,
    list_credentials,
    open_credentials,
    replace_secret,
)
from policies.sealing import find_or_make_data_key
from storage.tables import credentials, tenant_keys

RING = KeyRing(b"m" * 32)
SECRET = "sk-provider-key-of-acme-1234"


async def keep(
    connection: AsyncConnection, tenant: str = "acme", name: str = "main", secret: str = SECRET
) -> None:
    values = {
        "tenant": tenant, "name": name, "provider": "openai", "host": "api.openai.com",
    }  # fmt: skip
    await insert_credential(connection, values, secret, RING, 1.0)


async def opened(connection: AsyncConnection, ring: KeyRing = RING) -> dict[tuple[str, str], str]:
    found = await open_credentials(connection, ring)
    return {(each.tenant, each.name): each.secret for each in found}


async def test_a_secret_goes_in_and_only_the_snapshot_gets_it(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection)
        await keep(connection, "", "house", "sk-operators-own-key-5678")
        await keep(connection, "globex", "main", "short-one")
        found = await find_credential(connection, "acme", "main")
        listed = await list_credentials(connection, "acme", "", 10)
        assert await opened(connection) == {
            ("", "house"): "sk-operators-own-key-5678",
            ("acme", "main"): SECRET,
            ("globex", "main"): "short-one",
        }
        rows = (await connection.execute(sa.select(credentials))).mappings().all()
        short = await find_credential(connection, "globex", "main")
        bound = await find_bound(connection, "acme", "openai", "api.openai.com")
    assert found is not None
    assert short is not None
    assert set(found) == set(METADATA)
    assert [row["name"] for row in listed] == ["main"]
    assert (found["last4"], short["last4"]) == ("1234", ""), "four of nine would be too much"
    assert bound == ["main"]
    assert SECRET.encode() not in b"".join(row["sealed"] for row in rows)


async def test_names_are_unique_in_a_tenant(sql_engine: AsyncEngine) -> None:
    async with sql_engine.connect() as connection:
        await keep(connection)
        with pytest.raises(IntegrityError):
            await keep(connection)


async def test_a_secret_is_replaced_and_removed_by_version(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection)
        row = await find_credential(connection, "acme", "main")
        assert row is not None
        assert await replace_secret(connection, row, "sk-the-next-key-of-acme-9999", RING, 5.0)
        assert not await replace_secret(connection, row, "sk-too-late", RING, 6.0)
        assert not await delete_credential(connection, row)
        changed = await find_credential(connection, "acme", "main")
        assert changed is not None
        assert (changed["last4"], changed["version"]) == ("9999", 2)
        assert changed["rotated_at"] is not None
        assert await opened(connection) == {("acme", "main"): "sk-the-next-key-of-acme-9999"}
        assert await delete_credential(connection, changed)
        assert await opened(connection) == {}


@pytest.mark.parametrize(
    "change",
    [{"host": "evil.example"}, {"provider": "anthropic"}, {"name": "else"}, {"tenant": "globex"}],
)
async def test_a_row_that_was_altered_or_moved_gives_no_key(
    sql_engine: AsyncEngine, change: dict[str, str]
) -> None:
    """Whoever can write to the database cannot have a key sent to a host of his own."""
    async with sql_engine.begin() as connection:
        await keep(connection)
        await connection.execute(sa.update(credentials).values(**change))
        assert list((await opened(connection)).values()) == [""]


async def test_rows_cannot_swap_their_secrets(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection, name="one", secret="sk-the-first-secret")
        await keep(connection, name="two", secret="sk-the-second-secret")
        query = sa.select(credentials.c.sealed).where(credentials.c.name == "two")
        second = (await connection.execute(query)).scalar_one()
        at_one = sa.update(credentials).where(credentials.c.name == "one")
        await connection.execute(at_one.values(sealed=second))
        assert (await opened(connection))["acme", "one"] == ""


async def test_under_another_master_key_nothing_opens(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection)
        assert await opened(connection, KeyRing(b"x" * 32)) == {("acme", "main"): ""}


_TAKE = "DELETE FROM tenant_keys WHERE tenant = 'acme'"
RACE = {  # a trigger in the words of each engine
    "sqlite": (f"CREATE TRIGGER race AFTER INSERT ON credentials BEGIN {_TAKE}; END",),
    "postgresql": (
        f"CREATE FUNCTION take() RETURNS trigger AS 'BEGIN {_TAKE.replace(chr(39), chr(39) * 2)};"
        " RETURN NULL; END' LANGUAGE plpgsql",
        "CREATE TRIGGER race AFTER INSERT ON credentials EXECUTE FUNCTION take()",
    ),
}


async def test_a_data_key_that_is_taken_away_meanwhile_is_noticed(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection, "globex")
        await find_or_make_data_key(connection, "acme", RING, 1.0)
        for statement in RACE[connection.dialect.name]:
            await connection.execute(sa.text(statement))
        with pytest.raises(DataKeyRaceError):
            await keep(connection)
        left = (await connection.execute(sa.select(tenant_keys.c.tenant))).scalars().all()
    assert left == ["globex"]
