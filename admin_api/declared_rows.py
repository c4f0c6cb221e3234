"""What the routes of stored documents share: who must exist, and which rows are read-only here.

Used by routes/credentials.py, upstreams.py, model_changes.py and price_changes.py.
"""

from collections.abc import Mapping
from typing import Any

from admin_api.calls import Call, unknown_tenant
from admin_api.changes import Change
from admin_api.errors import AdminError
from policies.tenant_store import find_tenant
from storage.tables import BY_FILE


async def check_tenant(call: Call, under_way: Change) -> str:
    """The tenant of the path, "" on the operator's own routes. AdminError when there is none."""
    name = call.path.get("tenant", "")
    if name and await find_tenant(under_way.connection, name) is None:
        raise unknown_tenant(name)
    return name


def refuse_if_declared(row: Mapping[Any, Any]) -> None:
    """What apex.yaml declares is changed there. AdminError 409."""
    if row["managed_by"] == BY_FILE:
        hint = "change it in apex.yaml and reload (SIGHUP); what the API makes is changed here"
        raise AdminError(409, "managed_by_file", "apex.yaml declares this", hint)


def not_found(what: str, name: str) -> AdminError:
    """The 404 of one item."""
    message = f"there is no {what} {name[:200]!r}"
    return AdminError(404, f"unknown_{what}", message, f"GET the list of every {what} there is")


def name_taken(what: str, name: str) -> AdminError:
    """The 409 of an item that is there already."""
    message = f"there is a {what} {name[:200]!r} already"
    return AdminError(409, "name_taken", message, "choose another name, or change that one")


def changed_meanwhile() -> AdminError:
    """The 412 of a change that came too late."""
    return AdminError(412, "version_mismatch", "it was changed meanwhile", "GET it again")
