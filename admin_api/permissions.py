"""Who may do what: roles of a tenant's people, and the one who runs the gateway. Deny by default.

Read by calls.py for every route, and by the authorisation matrix of the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a member is to a tenant."""

    owner = "owner"
    admin = "admin"
    billing = "billing"
    developer = "developer"
    viewer = "viewer"


class Permission(StrEnum):
    """What a route asks of its caller; `operate` is the operator's alone, `sign_in` anybody's."""

    operate = "operate"
    sign_in = "sign_in"
    tenant_read = "tenant:read"
    tenant_write = "tenant:write"
    tenant_own = "tenant:own"
    project_write = "project:write"
    key_read = "key:read"
    key_write = "key:write"
    member_read = "member:read"
    member_write = "member:write"
    upstream_read = "upstream:read"
    upstream_write = "upstream:write"
    credential_read = "credential:read"
    credential_write = "credential:write"
    catalogue_read = "catalogue:read"
    usage_read = "usage:read"
    cache_purge = "cache:purge"
    audit_read = "audit:read"
    billing_read = "billing:read"
    billing_write = "billing:write"


P = Permission
VIEWER = frozenset({P.sign_in, P.tenant_read, P.key_read, P.catalogue_read, P.usage_read})
BILLING = VIEWER | {P.billing_read, P.billing_write, P.audit_read}
DEVELOPER = VIEWER | {P.key_write, P.upstream_read, P.credential_read, P.cache_purge}
ADMIN = DEVELOPER | {
    P.tenant_write, P.project_write, P.member_read, P.member_write, P.upstream_write,
    P.credential_write, P.audit_read, P.billing_read,
}  # fmt: skip
OWNER = ADMIN | BILLING | {P.tenant_own}

GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType({
    Role.owner: OWNER, Role.admin: ADMIN, Role.billing: BILLING,
    Role.developer: DEVELOPER, Role.viewer: VIEWER,
})  # fmt: skip


def may_grant(giver: Role, given: Role) -> bool:
    """Whether nobody would get more than the giver has."""
    return GRANTS[given] <= GRANTS[giver]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls. `name` goes into the audit log: "operator", or "user:" and the user's id."""

    name: str
    is_operator: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)  # by tenant
    user_id: str = ""

    def may(self, permission: Permission, tenant: str | None) -> bool:
        """Whether the actor may do this to the tenant; None: to what belongs to no tenant."""
        if self.is_operator:
            return True
        if permission in (P.sign_in, P.catalogue_read) and tenant is None:
            return True
        role = self.roles.get(tenant) if tenant is not None else None
        return role is not None and permission in GRANTS[role]


OPERATOR = Actor("operator", is_operator=True)
