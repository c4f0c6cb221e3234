"""/admin/v1/tenants/{tenant}/members: who is what to a tenant. People join by invitation."""

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import Change, change, check_version
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.people.invitation_store import revoke_those_of
from admin_api.people.member_store import (
    Row,
    change_role,
    find_member,
    has_other_owner,
    list_members,
    remove_member,
)
from admin_api.people.moments import moment_of
from admin_api.people.sessions import revoke_everything
from admin_api.permissions import Permission, Role, may_grant
from admin_api.resource_fields import Moment


class MemberChange(Strict):
    """What of a member can be changed."""

    role: Role = Field(description="Nobody gives more than they have.")


class Member(BaseModel):
    """A person's part in a tenant."""

    user_id: str
    email: str
    display_name: str
    role: Role
    version: int
    created_at: Moment
    last_login_at: Moment | None


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        position = position_of(query)
        rows = await list_members(connection, call.path["tenant"], position, query.limit + 1)
    return Answer(page_of([member_of(row) for row in rows], query, lambda each: each.user_id))


async def show(call: Call) -> Answer:
    """One's own part needs no right to see those of others."""
    _check_right(call, Permission.member_read)
    async with call.context.sql.connect() as connection:
        row = await find_member(connection, call.path["tenant"], call.path["user_id"])
    if row is None:
        raise unknown_member()
    return Answer(member_of(row), version=row["version"])


async def alter(call: Call) -> Answer:
    """A new role, which acts at once: the person signs in again."""
    tenant, user_id, role = call.path["tenant"], call.path["user_id"], call.body.role
    async with change(call, "member.update", f"tenants/{tenant}/members/{user_id}") as under_way:
        row = await _take(call, under_way)
        check_may_grant(call, role)
        if role is not Role.owner:
            await _keep_an_owner(under_way, row)
        connection = under_way.connection
        if not await change_role(connection, tenant, user_id, row["version"], role):
            raise _changed_meanwhile()
        await _end_what_was(call, under_way, user_id)
        changed = await find_member(connection, tenant, user_id)
        assert changed is not None
        under_way.after = member_of(changed).model_dump(mode="json")
    return Answer(member_of(changed), version=changed["version"])


async def remove(call: Call) -> Answer:
    """Somebody is taken out, or leaves."""
    _check_right(call, Permission.member_write)
    tenant, user_id = call.path["tenant"], call.path["user_id"]
    async with change(call, "member.delete", f"tenants/{tenant}/members/{user_id}") as under_way:
        row = await _take(call, under_way)
        await _keep_an_owner(under_way, row)
        if not await remove_member(under_way.connection, tenant, user_id, row["version"]):
            raise _changed_meanwhile()
        await _end_what_was(call, under_way, user_id)
    return Answer(status=204)


async def _take(call: Call, under_way: Change) -> Row:
    """The member to be changed, if the caller has as many rights. AdminError."""
    tenant, user_id = call.path["tenant"], call.path["user_id"]
    row = await find_member(under_way.connection, tenant, user_id)
    if row is None:
        raise unknown_member()
    if user_id != call.actor.user_id:
        check_may_grant(call, Role(row["role"]))
    check_version(call, row["version"])
    under_way.before = member_of(row).model_dump(mode="json")
    return row


async def _keep_an_owner(under_way: Change, row: Row) -> None:
    is_owner = row["role"] == Role.owner.value
    connection = under_way.connection
    if is_owner and not await has_other_owner(connection, row["tenant"], row["user_id"]):
        hint = "make somebody else an owner first"
        raise AdminError(409, "last_owner", "a tenant keeps at least one owner", hint)


async def _end_what_was(call: Call, under_way: Change, user_id: str) -> None:
    """Sessions, tokens, and the invitations that a role of before allowed."""
    now, connection = call.context.clock.now(), under_way.connection
    await revoke_everything(connection, user_id, moment_of(now))
    await revoke_those_of(connection, call.path["tenant"], f"user:{user_id}", now)


def check_may_grant(call: Call, role: Role) -> None:
    """Nobody gives, or takes, a role with more than their own. AdminError 403."""
    actor = call.actor
    own = actor.roles.get(call.tenant or "")
    if not actor.is_operator and (own is None or not may_grant(own, role)):
        hint = "ask somebody whose role has all that this one has"
        raise AdminError(403, "forbidden", f"the role {role.value} has more than yours", hint)


def _check_right(call: Call, permission: Permission) -> None:
    """Without the right to others, others are not even said to be there. AdminError 404."""
    is_own = call.path["user_id"] == call.actor.user_id
    if not is_own and not call.actor.may(permission, call.tenant):
        raise unknown_member()


def member_of(row: Row) -> Member:
    return Member.model_validate({name: row[name] for name in Member.model_fields})


def unknown_member() -> AdminError:
    hint = "GET the tenant's members for those there are"
    return AdminError(404, "unknown_member", "there is no such member", hint)


def _changed_meanwhile() -> AdminError:
    return AdminError(412, "version_mismatch", "it was changed meanwhile", "GET it again")


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/tenants/{tenant}/members", list_all, P.member_read, "List members",
          query=PageQuery, answer=Page[Member]),
    Route("GET", "/admin/v1/tenants/{tenant}/members/{user_id}", show, P.tenant_read,
          "Show a member", answer=Member),
    Route("PATCH", "/admin/v1/tenants/{tenant}/members/{user_id}", alter, P.member_write,
          "Change a member's role", body=MemberChange, answer=Member),
    Route("DELETE", "/admin/v1/tenants/{tenant}/members/{user_id}", remove, P.tenant_read,
          "Remove a member, or leave"),
)  # fmt: skip
