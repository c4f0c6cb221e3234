"""Fields that several resources have: names, tags, limits, moments; and checks of what owns them.

Used by the routes of tenants, projects and keys.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.calls import unknown_tenant
from admin_api.errors import AdminError
from config.limit_model import LimitsConfig
from policies.declared_limits import declare_limits
from policies.limits import load_limits
from policies.stored_state import Row
from policies.tenant_store import find_tenant
from storage.tables import BY_FILE

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
MOST_TAGS = 16


def _in_utc(value: object) -> object:
    """SQLite gives moments without the zone they were stored in."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and not value.tzinfo else value


def _check_tags(tags: dict[str, str]) -> dict[str, str]:
    if any("=" in name or "," in name or not name for name in tags):
        raise ValueError("a tag's name is not empty and has no comma or equals sign")
    return tags


Moment = Annotated[AwareDatetime, BeforeValidator(_in_utc)]
TagText = Annotated[str, Field(max_length=128)]
Tags = Annotated[
    dict[TagText, TagText],
    AfterValidator(_check_tags),
    Field(max_length=MOST_TAGS, description="Labels recorded with every request."),
]


def shown_limits(document: dict[str, object] | None) -> LimitsConfig:
    """Limits as callers see them."""
    return declare_limits(load_limits(document))


async def open_tenant(connection: AsyncConnection, name: str) -> Row:
    """The tenant, for a change to what is its own. AdminError when there is none or it is over."""
    row = await find_tenant(connection, name)
    if row is None:
        raise unknown_tenant(name)
    refuse_if_archived(row)
    return row


def refuse_if_declared(row: Row) -> None:
    """What apex.yaml declares is changed there. AdminError 409."""
    if row["managed_by"] == BY_FILE:
        hint = "change it in apex.yaml and reload (SIGHUP); what the API makes is changed here"
        raise AdminError(409, "managed_by_file", "apex.yaml declares this", hint)


def refuse_if_archived(row: Row) -> None:
    """What is archived stays as it is: usage names it. AdminError 409."""
    if row["archived_at"] is not None:
        hint = "make another under another name: what is archived stays as it was"
        raise AdminError(409, "archived", "this was archived", hint)


def refuse_too_many(held: int, most: int, what: str) -> None:
    """Everything is bounded: a snapshot holds all of it in memory. AdminError 409."""
    if held >= most:
        hint = "end some that are not used, or ask the operator for another tenant"
        raise AdminError(409, "too_many", f"the tenant has {held} {what} already", hint)


def changed_meanwhile() -> AdminError:
    """Somebody else changed it between our reading and our writing."""
    return AdminError(412, "version_mismatch", "it was changed meanwhile", "GET it again")
