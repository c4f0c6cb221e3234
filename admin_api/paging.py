"""Lists a page at a time: a cursor names the last item of the page before.

Used by every route that lists. Cursors are opaque to callers and hold nothing secret.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from admin_api.calls import Strict
from admin_api.errors import AdminError

MOST_ITEMS = 200
Item = TypeVar("Item", bound=BaseModel)


class PageQuery(Strict):
    """Parameters of every list."""

    limit: int = Field(default=50, ge=1, le=MOST_ITEMS, description="Items of a page.")
    cursor: str = Field(default="", max_length=512, description="next_cursor of the page before.")


class Page(BaseModel, Generic[Item]):
    """A page of a list; without `next_cursor` it is the last."""

    items: list[Item]
    next_cursor: str | None = None


def position_of(query: PageQuery) -> str:
    """The name of the last item before this page, "" at the beginning. AdminError 400."""
    try:
        position = base64.urlsafe_b64decode(query.cursor.encode("ascii")).decode()
        if "\0" in position:
            raise ValueError("no name holds a NUL")
        return position
    except (binascii.Error, ValueError):
        hint = "send next_cursor of the page before as it was, or leave cursor out"
        raise AdminError(400, "invalid_cursor", "the cursor is none of ours", hint) from None


def page_of(found: Sequence[Item], query: PageQuery, name_of: Callable[[Item], str]) -> Page[Item]:
    """The page of items in order, of which one more was asked for than it takes."""
    items = list(found[: query.limit])
    if len(found) <= query.limit:
        return Page(items=items)
    cursor = base64.urlsafe_b64encode(name_of(items[-1]).encode()).decode()
    return Page(items=items, next_cursor=cursor)
