"""Users in SQL: found by issuer and subject, made at their first login, joined to tenants.

A first login makes a tenant of its own, or joins one by an invitation to the same address.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.context import AdminContext
from admin_api.people import opaque
from admin_api.people.invitation_store import accept, find_open
from admin_api.people.moments import moment_of
from admin_api.people.oidc import Identity
from admin_api.people.refusals import RefusedError
from admin_api.people.state import People
from admin_api.permissions import Role
from policies.audit import AuditEntry, AuditRaceError, append_audit
from policies.tenant_store import insert_tenant
from storage.tables import members, users

Row = sa.RowMapping
NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Admission:
    """A transaction in which somebody comes in."""

    connection: AsyncConnection
    people: People
    identity: Identity

    @property
    def now(self) -> float:
        return self.people.clock.now()


async def admit(context: AdminContext, identity: Identity, invitation: str) -> str:
    """The user's id, made when new. RefusedError when the person may not come in."""
    try:
        async with context.sql.begin() as connection:
            admission = Admission(connection, context.people, identity)
            user_id, is_changed = await _admit(admission, invitation)
    except (IntegrityError, AuditRaceError) as error:
        raise RefusedError("somebody came in at the same moment") from error
    if is_changed:
        context.note_change()
    return user_id


async def _admit(admission: Admission, invitation: str) -> tuple[str, bool]:
    """(user id, whether a tenant was made)."""
    invited = await _find_invitation(admission, invitation) if invitation else None
    known = await _find_user(admission)
    if known is not None and known["disabled_at"] is not None:
        raise RefusedError("the person is disabled")
    if known is None and invited is None:
        _check_sign_up(admission)
    user_id = known["user_id"] if known is not None else await _add_user(admission)
    await _note_login(admission, user_id)
    if invited is not None:
        await _join(admission, user_id, invited)
    elif known is None:
        await _found_tenant(admission, user_id)
    return user_id, invited is None and known is None


async def _find_invitation(admission: Admission, token: str) -> Row:
    found = await find_open(admission.connection, token, admission.now)
    if found is None or found["email"].casefold() != admission.identity.email.casefold():
        raise RefusedError("the invitation is not open, or is to another address")
    return found


async def _find_user(admission: Admission) -> Row | None:
    identity = admission.identity
    query = sa.select(users).where(
        users.c.issuer == identity.issuer, users.c.subject == identity.subject
    )
    return (await admission.connection.execute(query)).mappings().one_or_none()


def _check_sign_up(admission: Admission) -> None:
    settings = admission.people.identity
    domain = admission.identity.email.rpartition("@")[2].casefold()
    if settings.sign_up != "open":
        raise RefusedError("sign-up is by invitation")
    if settings.email_domains and domain not in {
        each.casefold() for each in settings.email_domains
    }:
        raise RefusedError("sign-up is not for addresses of this domain")


async def _add_user(admission: Admission) -> str:
    user_id = opaque.make_id("usr_")
    row = {
        "user_id": user_id,
        "issuer": admission.identity.issuer,
        "subject": admission.identity.subject,
        "email": admission.identity.email,
        "created_at": moment_of(admission.now),
    }
    await admission.connection.execute(sa.insert(users).values(row))
    return user_id


async def _note_login(admission: Admission, user_id: str) -> None:
    """Address and name are the provider's to change."""
    values = {
        "email": admission.identity.email,
        "display_name": admission.identity.display_name,
        "last_login_at": moment_of(admission.now),
    }
    query = sa.update(users).where(users.c.user_id == user_id).values(values)
    await admission.connection.execute(query)


async def _join(admission: Admission, user_id: str, invited: Row) -> None:
    """Whoever is a member already stays what they are."""
    tenant, mine = invited["tenant"], members.c.user_id == user_id
    query = sa.select(members.c.role).where(members.c.tenant == tenant, mine)
    if (await admission.connection.execute(query)).scalar_one_or_none() is None:
        await _add_member(admission, user_id, tenant, invited["role"])
    if not await accept(admission.connection, invited["invitation_id"], admission.now):
        raise RefusedError("the invitation was used at the same moment")


async def _found_tenant(admission: Admission, user_id: str) -> None:
    """Its name ends in chance: nobody can take the name that the operator will declare one day."""
    local = NOT_IN_A_NAME.sub("-", admission.identity.email.rpartition("@")[0].casefold())
    name = f"{local.strip('-')[:40] or 'tenant'}-{secrets.token_hex(4)}"
    await insert_tenant(admission.connection, {"name": name}, admission.now)
    await _audit(admission, user_id, name, "tenant.create", f"tenants/{name}", {"name": name})
    await _add_member(admission, user_id, name, Role.owner)


async def _add_member(admission: Admission, user_id: str, tenant: str, role: str) -> None:
    row = {
        "tenant": tenant, "user_id": user_id, "role": str(role),
        "created_at": moment_of(admission.now),
    }  # fmt: skip
    await admission.connection.execute(sa.insert(members).values(row))
    after = {"user_id": user_id, "role": str(role), "email": admission.identity.email}
    subject = f"tenants/{tenant}/members/{user_id}"
    await _audit(admission, user_id, tenant, "member.create", subject, after)


async def _audit(
    admission: Admission, user_id: str, tenant: str, action: str, subject: str,
    after: dict[str, Any],
) -> None:  # fmt: skip
    entry = AuditEntry(tenant, f"user:{user_id}", action, subject, None, after, "login")
    await append_audit(admission.connection, entry, admission.now)
