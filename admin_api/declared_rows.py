"""What the routes of credentials and stored documents share: who must exist, and refusals.

Used by routes/credentials.py, upstreams.py, model_changes.py and price_changes.py.
"""

from admin_api.calls import Call
from admin_api.changes import Change
from admin_api.errors import AdminError
from admin_api.resource_fields import open_tenant


async def check_tenant(call: Call, under_way: Change) -> str:
    """The tenant of the path, "" on the operator's own routes. AdminError when there is none."""
    name = call.path.get("tenant", "")
    if name:
        await open_tenant(under_way.connection, name)
    return name


def refuse_more_than(most: int, count: int, what: str) -> None:
    """A tenant's part of the snapshot is bounded. AdminError 409."""
    if count >= most:
        message = f"there are {count} of them, and {most} is the most"
        raise AdminError(409, "too_many", message, f"remove a {what} that is not needed")


def not_found(what: str, name: str) -> AdminError:
    """The 404 of one item."""
    message = f"there is no {what} {name[:200]!r}"
    return AdminError(404, f"unknown_{what}", message, f"GET the list of every {what} there is")


def name_taken(what: str, name: str) -> AdminError:
    """The 409 of an item that is there already."""
    message = f"there is a {what} {name[:200]!r} already"
    return AdminError(409, "name_taken", message, "choose another name, or change that one")
