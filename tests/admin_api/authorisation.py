"""Who may call what, as docs/authorisation.md has it: every route by every caller.

The tables are made from here by tests/docs_tables.py; test_authorisation.py calls every route as
everybody and compares.
"""

from typing import Literal

from admin_api.app import RESOURCES
from admin_api.calls import Route
from admin_api.openapi import path_of
from admin_api.permissions import GRANTS, OPERATOR, Actor, Permission, Role

Verdict = Literal["yes", "401", "403", "404"]
TENANT, OTHER = "acme", "globex"
NOBODY, OPERATES, STRANGER = "nobody", "operator", "owner elsewhere"
CALLERS = (NOBODY, OPERATES, *(role.value for role in Role), STRANGER)
# Answered to everyone who is known, whatever their part: each sees what they may.
FOR_ANYBODY = (Permission.sign_in, Permission.catalogue_read)


def actor_of(caller: str) -> Actor | None:
    """Who calls; members are those of acme, but for the stranger, who owns globex."""
    if caller == NOBODY:
        return None
    if caller == OPERATES:
        return OPERATOR
    if caller == STRANGER:
        return Actor("user:stranger", roles={OTHER: Role.owner}, user_id="stranger")
    return Actor(f"user:{caller}", roles={TENANT: Role(caller)}, user_id=caller)


def is_about_a_tenant(route: Route) -> bool:
    """Whether its path or its query names one."""
    return "{tenant}" in route.path or "tenant" in route.query.model_fields


def verdict_of(route: Route, caller: str) -> Verdict:
    """What the caller gets when the route is asked about acme."""
    if caller == NOBODY:
        return "401"
    if caller == OPERATES or (route.permission in FOR_ANYBODY and not is_about_a_tenant(route)):
        return "yes"
    if route.permission is Permission.operate:
        return "403"
    if caller == STRANGER:
        return "404" if is_about_a_tenant(route) else "yes"
    return "yes" if route.permission in GRANTS[Role(caller)] else "403"


def route_table() -> str:
    """Every route by every caller."""
    lines = [f"| route | permission | {' | '.join(CALLERS)} |", "|---|---|" + "---|" * len(CALLERS)]
    for route in sorted(RESOURCES, key=lambda each: (each.path, each.method)):
        cells = " | ".join(verdict_of(route, caller) for caller in CALLERS)
        name = f"`{route.method} {path_of(route.path)}`"
        lines.append(f"| {name} | `{route.permission.value}` | {cells} |")
    return "\n".join(lines) + "\n"


def permission_table() -> str:
    """Every permission by every role."""
    roles = [role.value for role in Role]
    lines = [f"| permission | {' | '.join(roles)} |", "|---|" + "---|" * len(roles)]
    for permission in Permission:
        if permission is not Permission.operate:
            cells = " | ".join("yes" if permission in GRANTS[role] else "" for role in Role)
            lines.append(f"| `{permission.value}` | {cells} |")
    return "\n".join(lines) + "\n"
