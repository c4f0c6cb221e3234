"""API keys by the names people gave them, for reports: events carry their ids alone.

Asked for by the routes of usage and requests, in the control process and offline.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.api_key_store import RETIRED_MARK
from policies.snapshot import Snapshot
from storage.tables import api_keys

KeyNames = Mapping[str, str]  # key id -> "tenant/name"
ReadKeyNames = Callable[[], Awaitable[KeyNames]]

_log = logging.getLogger(__name__)


async def read_key_names(engine: AsyncEngine, snapshot: Snapshot | None) -> KeyNames:
    """Generated keys ever made, from SQL, and those declared now. A store that is away adds none:
    a report with ids is better than no report.
    """
    names: dict[str, str] = {}
    try:
        async with engine.connect() as connection:
            query = sa.select(api_keys.c.key_id, api_keys.c.tenant, api_keys.c.name)
            for row in await connection.execute(query):
                name = row.name.partition(RETIRED_MARK)[0]
                names[row.key_id] = f"{row.tenant}/{name}"
    except (SQLAlchemyError, OSError) as error:
        _log.warning("the names of generated keys cannot be read: %s", type(error).__name__)
    for record in snapshot.keys_by_id.values() if snapshot else ():
        names[record.key_id] = f"{record.tenant}/{record.name}"
    return names


def name_keys(rows: list[dict[str, Any]], names: KeyNames) -> list[dict[str, Any]]:
    """Usage rows by key, each with the key's name in `key` and its id beside it in `key_id`."""
    return [
        {"key": names.get(row["key"], row["key"]), "key_id": row["key"], **_without_key(row)}
        for row in rows
    ]


def name_key(detail: Mapping[str, Any], names: KeyNames) -> dict[str, Any]:
    """A request's detail with its key's name before the id; the id again where it has none."""
    named: dict[str, Any] = {}
    for field, value in detail.items():
        if field == "key_id":
            named["key"] = names.get(value, value)
        named[field] = value
    return named


def _without_key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in row.items() if field != "key"}
