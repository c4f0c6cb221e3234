"""/admin/v1/users: everybody who ever signed in, for the operator to lock out and to let in."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.people.moments import moment_of
from admin_api.people.second_factor import remove
from admin_api.people.sessions import revoke_everything
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment
from storage.tables import users


class UserChange(Strict):
    """What of a person can be changed here; either way all sessions and tokens end."""

    is_disabled: bool | None = Field(default=None, description="May not sign in.")
    forget_second_factor: bool = Field(
        default=False, description="For who lost the app and the recovery codes."
    )


class User(BaseModel):
    """A person. Who they are is issuer and subject; the address is the provider's to change."""

    user_id: str
    issuer: str
    subject: str
    email: str
    display_name: str
    has_second_factor: bool
    created_at: Moment
    last_login_at: Moment | None
    disabled_at: Moment | None


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    wanted = (
        sa.select(users)
        .where(users.c.user_id > position_of(query))
        .order_by(users.c.user_id)
        .limit(query.limit + 1)
    )
    async with call.context.sql.connect() as connection:
        rows = (await connection.execute(wanted)).mappings().all()
    return Answer(page_of([user_of(row) for row in rows], query, lambda each: each.user_id))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        return Answer(await _find(connection, call.path["user_id"]))


async def alter(call: Call) -> Answer:
    user_id, body = call.path["user_id"], call.body
    now = moment_of(call.context.clock.now())
    async with change(call, "user.update", f"users/{user_id[:64]}") as under_way:
        connection = under_way.connection
        under_way.before = (await _find(connection, user_id)).model_dump(mode="json")
        if body.is_disabled is not None:
            values = {"disabled_at": now if body.is_disabled else None}
            query = sa.update(users).where(users.c.user_id == user_id)
            await connection.execute(query.values(values))
        if body.forget_second_factor:
            await remove(connection, user_id)
        await revoke_everything(connection, user_id, now)
        changed = await _find(connection, user_id)
        under_way.after = changed.model_dump(mode="json")
    return Answer(changed)


async def _find(connection: AsyncConnection, user_id: str) -> User:
    query = sa.select(users).where(users.c.user_id == user_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        hint = "GET /admin/v1/users lists everybody"
        raise AdminError(404, "unknown_user", "there is no such person", hint)
    return user_of(row)


def user_of(row: Mapping[str, Any] | sa.RowMapping) -> User:
    has_second_factor = row["totp_last_step"] is not None
    values = {name: row[name] for name in User.model_fields if name != "has_second_factor"}
    return User.model_validate({**values, "has_second_factor": has_second_factor})


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/users", list_all, P.operate, "List people",
          query=PageQuery, answer=Page[User]),
    Route("GET", "/admin/v1/users/{user_id}", show, P.operate, "Show a person", answer=User),
    Route("PATCH", "/admin/v1/users/{user_id}", alter, P.operate,
          "Lock a person out, or let them in again", body=UserChange, answer=User),
)  # fmt: skip
