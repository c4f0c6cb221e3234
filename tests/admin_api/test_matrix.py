"""Every route x every role x one's own and another's tenant, from the table of routes.

A verdict is read from the answer: refusals come before anything else of a call is looked at.
"""

import re
from dataclasses import dataclass

import pytest

from admin_api.app import RESOURCES
from admin_api.calls import Route
from admin_api.permissions import GRANTS, Role
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, Reply


@dataclass(slots=True)
class Crowd:
    """A member of "acme" in each role, and a tenant "globex" in which none has a part."""

    members: dict[Role, Browser]
    nobody: Browser


@pytest.fixture
async def crowd(admin: Admin) -> Crowd:
    for name in ("acme", "globex"):
        await admin.ask("/admin/v1/tenants", "POST", json={"name": name})
    members = {}
    for role in Role:
        path = "/admin/v1/tenants/acme/invitations"
        body = {"email": f"{role.value}@example.com", "role": role.value}
        _, invited = await admin.ask(path, "POST", json=body)
        members[role] = Browser(admin)
        await members[role].dev_login(body["email"], invitation=invited["token"])
    return Crowd(members, Browser(admin))


def place_of(route: Route, tenant: str) -> str:
    path = route.path.replace("{tenant}", tenant)
    return re.sub(r"\{\w+(:[^{}]*)?\}", "x-unknown", path)


async def ask(browser: Browser, route: Route, tenant: str) -> Reply:
    """With a body, or of a version, that is refused once the caller is not: nothing is changed."""
    body = None if route.body is None else {"no such field": 1}
    query = "" if "{tenant}" in route.path else f"?tenant={tenant}"
    path, headers = place_of(route, tenant) + query, {"If-Match": '"0"'}
    return await browser.ask(path, route.method, json=body, headers=headers)


def is_refused(reply: Reply) -> bool:
    code = reply.document["code"] if "problem" in reply.headers["Content-Type"] else ""
    return (reply.status, code) in {(403, "forbidden"), (404, "unknown_tenant")}


def is_granted(route: Route, role: Role) -> bool:
    return route.permission in GRANTS[role]


async def test_every_route_for_every_role(crowd: Crowd) -> None:
    wrong = []
    for route in RESOURCES:
        for role, browser in crowd.members.items():
            reply = await ask(browser, route, "acme")
            assert reply.status != 500, (route.method, route.path)  # 503: a store is away
            if is_refused(reply) is is_granted(route, role):
                wrong.append((route.method, route.path, role.value, reply.status))
    assert not wrong


async def test_every_route_of_another_tenant_is_refused(crowd: Crowd) -> None:
    """As if it did not exist: the answer is that for a tenant that nobody made."""
    wrong = []
    for route in RESOURCES:
        if "{tenant}" not in route.path:
            continue
        for role, browser in crowd.members.items():
            known = await ask(browser, route, "globex")
            unknown = await ask(browser, route, "nobody")
            same = str(known.document).replace("globex", "nobody") == str(unknown.document)
            if not is_refused(known) or not same or known.status != unknown.status:
                wrong.append((route.method, route.path, role.value, known.status))
    assert not wrong


async def test_every_route_asks_who_calls(crowd: Crowd) -> None:
    for route in RESOURCES:
        reply = await ask(crowd.nobody, route, "acme")
        assert (reply.status, reply.document["code"]) == (401, "missing_token"), route.path


async def test_no_changing_route_does_without_the_csrf_token(crowd: Crowd) -> None:
    owner = crowd.members[Role.owner]
    owner.csrf = ""
    for route in RESOURCES:
        if route.method != "GET":
            reply = await ask(owner, route, "acme")
            assert (reply.status, reply.document["code"]) == (403, "wrong_csrf_token"), route.path
