"""A number in SQL that grows with each change of what snapshots are built from.

Whoever writes tenants, keys or the like calls `bump_revision` in the same transaction; control
processes and lone proxies' companions on other hosts look at it and build their snapshots anew.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.tables import kv_state

_NAME = "configuration.revision"


async def read_revision(connection: AsyncConnection) -> int:
    """The present number; 0 before the first change."""
    query = sa.select(kv_state.c.value).where(kv_state.c.name == _NAME)
    value = (await connection.execute(query)).scalar_one_or_none()
    return int(value or 0)


async def bump_revision(connection: AsyncConnection) -> int:
    """Count one change, seen by others when the transaction ends; the new number.

    Its row stays locked until then: who counts later commits later.
    """
    number = sa.cast(sa.cast(kv_state.c.value, sa.BigInteger) + 1, sa.Text)
    count = (
        sa.update(kv_state)
        .where(kv_state.c.name == _NAME)
        .values(value=number)
        .returning(kv_state.c.value)
    )
    value = (await connection.execute(count)).scalar_one_or_none()
    if value is None:
        try:
            async with connection.begin_nested():
                first = sa.insert(kv_state).values(name=_NAME, value="1")
                await connection.execute(first)
        except sa.exc.IntegrityError:  # another was first, and has committed by now
            value = (await connection.execute(count)).scalar_one()
        else:
            value = "1"
    return int(value)
