"""Moving to another master key, step by step: everything opens before, meanwhile and after."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from config.secrets import KeyRing, sealed_under
from policies.credential_store import insert_credential, open_credentials
from policies.kept_keys import find_kept_keys, read_kept_keys
from policies.rotation import (
    MOST_TENANTS,
    SEALED_COLUMNS,
    SealedColumn,
    count_remaining,
    rotate_some,
)
from storage.tables import credentials, idempotent_calls, tenant_keys, tenants, users

OLD = KeyRing(b"o" * 32)
BOTH = KeyRing(b"n" * 32, "k2", {"k1": b"o" * 32})
NEW = KeyRing(b"n" * 32, "k2")
NOW = 1_795_600_000.0
MOMENT = sa.func.current_timestamp()


async def fill(engine: AsyncEngine, many: int = 3) -> dict[tuple[str, str], str]:
    """Tenants with credentials and sealed rows, all of the old master key; the secrets."""
    secrets: dict[tuple[str, str], str] = {}
    async with engine.begin() as connection:
        for number in range(many):
            tenant = f"t{number:03}"
            await connection.execute(sa.insert(tenants).values(name=tenant, created_at=MOMENT))
            for name in ("one", "two"):
                values = {"tenant": tenant, "name": name, "provider": "openai", "host": name}
                secret = secrets[tenant, name] = f"sk-{tenant}-{name}-secret"
                await insert_credential(connection, values, secret, OLD, NOW)
            sealed = OLD.seal(f"totp u{number}", b"totp")
            user = {"user_id": f"u{number}", "issuer": "i", "subject": f"s{number}", "email": "e",
                    "totp_secret_sealed": sealed, "created_at": MOMENT}  # fmt: skip
            await connection.execute(sa.insert(users).values(user))
            answer = OLD.seal("idempotent-answer", b"answer")
            call = {"caller": "c", "idempotency_key": str(number), "request_hash": "h",
                    "answer_sealed": answer, "created_at": MOMENT}  # fmt: skip
            await connection.execute(sa.insert(idempotent_calls).values(call))
        await find_kept_keys(connection, OLD)
    return secrets


async def opened(connection: AsyncConnection, ring: KeyRing) -> dict[tuple[str, str], str]:
    found = await open_credentials(connection, ring)
    return {(each.tenant, each.name): each.secret for each in found}


async def rotate(engine: AsyncEngine, ring: KeyRing = BOTH, most: int = 200) -> list[int]:
    steps: list[int] = []
    while not steps or steps[-1]:
        async with engine.begin() as connection:
            steps.append(await rotate_some(connection, ring, NOW, most))
    return steps


async def test_everything_opens_at_every_step_and_then_without_the_old_key(
    sql_engine: AsyncEngine,
) -> None:
    secrets = await fill(sql_engine)
    async with sql_engine.connect() as connection:
        before = await count_remaining(connection, BOTH)
        assert (before.kept_keys, before.data_keys, before.rows) == (1, 3, 6)
    for _ in range(20):
        async with sql_engine.begin() as connection:
            done = await rotate_some(connection, BOTH, NOW, 2)
            assert await opened(connection, BOTH) == secrets
        if not done:
            break
    async with sql_engine.connect() as connection:
        assert (await count_remaining(connection, BOTH)).total == 0
        assert await opened(connection, NEW) == secrets
        assert set((await opened(connection, OLD)).values()) == {""}
        rows = (await connection.execute(sa.select(users))).mappings().all()
        assert all(
            NEW.unseal(f"totp {row['user_id']}", row["totp_secret_sealed"]) == b"totp"
            for row in rows
        )
        keys = (await connection.execute(sa.select(tenant_keys))).mappings().all()
        assert {key["master_key_id"] for key in keys} == {"k2"}
        assert all(sealed_under(key["sealed"]) == "k2" for key in keys)


async def test_data_keys_are_other_ones_afterwards(sql_engine: AsyncEngine) -> None:
    """Whoever has the old master key and an old copy of the table can open nothing of today's."""
    await fill(sql_engine, 1)
    ids = sa.select(tenant_keys.c.data_key_id)
    async with sql_engine.connect() as connection:
        before = set((await connection.execute(ids)).scalars())
    await rotate(sql_engine)
    async with sql_engine.connect() as connection:
        after = set((await connection.execute(ids)).scalars())
        used = set((await connection.execute(sa.select(credentials.c.data_key_id))).scalars())
    assert before.isdisjoint(after)
    assert used == after


async def test_what_figures_are_joined_by_is_kept(sql_engine: AsyncEngine) -> None:
    await fill(sql_engine)
    await rotate(sql_engine)
    async with sql_engine.connect() as connection:
        ring = NEW.with_kept(await read_kept_keys(connection, NEW))
    for tenant in ("t000", "t002"):
        assert ring.subject_key(tenant) == OLD.subject_key(tenant)
        assert ring.cache_key(tenant) == OLD.cache_key(tenant)
    assert ring.arm_salt("2026-11") == OLD.arm_salt("2026-11")


async def test_a_second_rotation_follows_the_first(sql_engine: AsyncEngine) -> None:
    secrets = await fill(sql_engine, 2)
    await rotate(sql_engine)
    third = KeyRing(b"t" * 32, "k3", {"k2": b"n" * 32})
    await rotate(sql_engine, third)
    last = KeyRing(b"t" * 32, "k3")
    async with sql_engine.connect() as connection:
        assert await opened(connection, last) == secrets
        assert (await count_remaining(connection, last)).total == 0
        ring = last.with_kept(await read_kept_keys(connection, last))
    assert ring.subject_key("t001") == OLD.subject_key("t001")


async def test_steps_are_bounded_and_all_are_done(sql_engine: AsyncEngine) -> None:
    secrets = await fill(sql_engine, MOST_TENANTS * 2 + 1)
    steps = await rotate(sql_engine, most=10)
    assert max(steps) <= MOST_TENANTS
    async with sql_engine.connect() as connection:
        assert await opened(connection, NEW) == secrets
        assert (await count_remaining(connection, NEW)).total == 0


async def test_what_is_damaged_ends_nothing_and_is_said(sql_engine: AsyncEngine) -> None:
    secrets = await fill(sql_engine)
    async with sql_engine.begin() as connection:
        await connection.execute(
            sa.update(users)
            .where(users.c.user_id == "u0")
            .values(totp_secret_sealed=OLD.seal("another purpose", b"x"))
        )
        broken = sa.update(credentials).where(
            credentials.c.tenant == "t000", credentials.c.name == "one"
        )
        await connection.execute(broken.values(sealed=b"\x01damaged"))
        lost = sa.update(tenant_keys).where(tenant_keys.c.tenant == "t001")
        await connection.execute(lost.values(master_key_id="k0", sealed=b"of a key long gone"))
    await rotate(sql_engine)
    async with sql_engine.connect() as connection:
        after = await count_remaining(connection, BOTH)
        found = await opened(connection, NEW)
    assert (after.kept_keys, after.data_keys, after.rows) == (0, 1, 1)
    assert {place for place, secret in found.items() if not secret} == {
        ("t000", "one"), ("t001", "one"), ("t001", "two"),
    }  # fmt: skip
    assert {place: secrets[place] for place, secret in found.items() if secret} == {
        place: secret for place, secret in found.items() if secret
    }


def test_every_sealed_column_is_in_the_list() -> None:
    """Of what the tables call sealed, only data keys and credentials have a way of their own."""
    metadata = users.metadata
    sealed = {
        column
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    listed: set[Any] = {each.column for each in SEALED_COLUMNS}
    assert sealed - listed == {tenant_keys.c.sealed, credentials.c.sealed}
    for each in SEALED_COLUMNS:
        assert isinstance(each, SealedColumn)
        assert {column.name for column in each.column.table.primary_key} == set(each.keys)
