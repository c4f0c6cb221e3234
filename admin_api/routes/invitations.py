"""/admin/v1/tenants/{tenant}/invitations: how people join, by a link."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from admin_api.calls import Answer, Call, Route, Strict, unknown_tenant
from admin_api.changes import change
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.people import invitation_store as store
from admin_api.people.moments import moment_of
from admin_api.people.oidc import is_address
from admin_api.permissions import Permission, Role
from admin_api.resource_fields import Moment
from admin_api.routes.members import check_may_grant
from policies.tenant_store import find_tenant

MOST_OPEN = 200
WEEK_S = 604_800


def _check_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("no e-mail address")
    return text


class NewInvitation(Strict):
    """Somebody to be invited."""

    email: Annotated[str, AfterValidator(_check_address)] = Field(
        max_length=320, description="Only who signs in with this address can accept."
    )
    role: Role = Field(description="Nobody gives more than they have.")
    lifetime_s: int = Field(default=WEEK_S, ge=60, le=30 * 86_400, description="Seconds.")


class Invitation(BaseModel):
    """An invitation as it is stored."""

    invitation_id: str
    email: str
    role: Role
    invited_by: str
    created_at: Moment
    expires_at: Moment
    accepted_at: Moment | None
    revoked_at: Moment | None


class MadeInvitation(Invitation):
    """An invitation with its secret, which is shown this once."""

    token: str = Field(description="Goes into the link.")
    path: str = Field(description="Append it to the address of the admin port.")


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        position = position_of(query)
        tenant = call.path["tenant"]
        rows = await store.list_invitations(connection, tenant, position, query.limit + 1)
    found = [invitation_of(row) for row in rows]
    return Answer(page_of(found, query, lambda each: each.invitation_id))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        row = await store.find_invitation(connection, call.path["tenant"], call.path["id"])
    if row is None:
        raise unknown_invitation()
    return Answer(invitation_of(row))


async def make(call: Call) -> Answer:
    body: NewInvitation = call.body
    tenant, now = call.path["tenant"], call.context.clock.now()
    check_may_grant(call, body.role)
    values = {
        "tenant": tenant, "email": body.email, "role": body.role.value,
        "invited_by": call.actor.name, "created_at": moment_of(now),
        "expires_at": moment_of(now + body.lifetime_s),
    }  # fmt: skip
    subject = f"tenants/{tenant}/invitations"
    async with change(call, "invitation.create", subject) as under_way:
        connection = under_way.connection
        if await find_tenant(connection, tenant) is None:
            raise unknown_tenant(tenant)
        if await store.count_open(connection, tenant, now) >= MOST_OPEN:
            hint = "revoke some that are open, or wait until they expire"
            raise AdminError(409, "too_many_invitations", f"{MOST_OPEN} are open", hint)
        invitation_id, token = await store.add_invitation(connection, values)
        row = await store.find_invitation(connection, tenant, invitation_id)
        assert row is not None
        made = invitation_of(row)
        under_way.after = made.model_dump(mode="json")
    path = f"/auth/login?invitation={token}"
    answer = MadeInvitation(**made.model_dump(), token=token, path=path)
    place = f"/admin/v1/tenants/{tenant}/invitations/{invitation_id}"
    return Answer(answer, status=201, headers={"Location": place})


async def revoke(call: Call) -> Answer:
    tenant, invitation_id = call.path["tenant"], call.path["id"]
    subject = f"tenants/{tenant}/invitations/{invitation_id}"
    async with change(call, "invitation.revoke", subject) as under_way:
        connection = under_way.connection
        row = await store.find_invitation(connection, tenant, invitation_id)
        if row is None:
            raise unknown_invitation()
        under_way.before = invitation_of(row).model_dump(mode="json")
        await store.revoke(connection, invitation_id, call.context.clock.now())
        changed = await store.find_invitation(connection, tenant, invitation_id)
        assert changed is not None
        under_way.after = invitation_of(changed).model_dump(mode="json")
    return Answer(status=204)


def invitation_of(row: store.Row) -> Invitation:
    return Invitation.model_validate({name: row[name] for name in Invitation.model_fields})


def unknown_invitation() -> AdminError:
    hint = "GET the tenant's invitations for those there are"
    return AdminError(404, "unknown_invitation", "there is no such invitation", hint)


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/tenants/{tenant}/invitations", list_all, P.member_read,
          "List invitations", query=PageQuery, answer=Page[Invitation]),
    Route("POST", "/admin/v1/tenants/{tenant}/invitations", make, P.member_write,
          "Invite somebody", body=NewInvitation, answer=MadeInvitation),
    Route("GET", "/admin/v1/tenants/{tenant}/invitations/{id}", show, P.member_read,
          "Show an invitation", answer=Invitation),
    Route("DELETE", "/admin/v1/tenants/{tenant}/invitations/{id}", revoke, P.member_write,
          "Revoke an invitation"),
)  # fmt: skip
