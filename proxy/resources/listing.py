"""Lists of a shared account's objects, with only the caller's own ones in them.

Called by relay.py. Pages of the provider are read until the caller's page is full: a page that lost
its entries to a filter would tell a client's iterator that the list has ended.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from proxy.errors import GatewayError
from proxy.resources.ownership import Owner, OwnershipMap
from proxy.resources.paths import ResourcePath
from proxy.resources.references import owned
from proxy.upstream_client import UpstreamReply

PROVIDERS_PAGE = 100
MOST_PAGES = 50
LARGEST_PAGE_BYTES = 16_777_216
DEFAULT_LIMIT = 20
PASSED_ON = ("order", "purpose")
Fetch = Callable[[str], Awaitable[UpstreamReply]]


def is_shared_list(path: ResourcePath) -> bool:
    """Return whether GET of a path lists everybody's objects; below an object it is its own."""
    return path.is_top and not path.is_operation


async def list_owned(
    query: Mapping[str, str], owner: Owner, ownership: OwnershipMap, fetch: Fetch
) -> bytes:
    """Return the caller's page as JSON; `fetch` gets one page of the provider by its query."""
    limit = _limit_of(query)
    after = query.get("after", "")
    if after:
        owned(after, owner.tenant, ownership, "after")
    kept: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        page = await _page(fetch, query, after)
        data = page["data"]
        kept += [each for each in data if _is_owned(each, owner, ownership)]
        has_more = bool(page.get("has_more")) and bool(data)
        if len(kept) > limit or not has_more:
            break
        after = str(data[-1].get("id", ""))
    return _render(kept[:limit], has_more=len(kept) > limit)


def _limit_of(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    return min(max(int(text), 1), 10_000) if text.isdecimal() and len(text) < 6 else DEFAULT_LIMIT


def _is_owned(each: Any, owner: Owner, ownership: OwnershipMap) -> bool:
    if not isinstance(each, dict) or not isinstance(each.get("id"), str):
        return False
    found = ownership.find(each["id"])
    return found is not None and (found.tenant, found.upstream) == (owner.tenant, owner.upstream)


async def _page(fetch: Fetch, query: Mapping[str, str], after: str) -> dict[str, Any]:
    wanted = {name: query[name] for name in PASSED_ON if name in query}
    wanted |= {"limit": str(PROVIDERS_PAGE)} | ({"after": after} if after else {})
    reply = await fetch(urlencode(wanted))
    try:
        document = orjson.loads(await reply.read(LARGEST_PAGE_BYTES))
    except orjson.JSONDecodeError:
        document = None
    finally:
        reply.close()
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise GatewayError(
            502,
            "upstream_unusable_answer",
            "The upstream's list could not be read, so it is not shown.",
            "Ask for one object by its id.",
        )
    return document


def _render(kept: list[dict[str, Any]], *, has_more: bool) -> bytes:
    return orjson.dumps({
        "object": "list",
        "data": kept,
        "first_id": kept[0]["id"] if kept else None,
        "last_id": kept[-1]["id"] if kept else None,
        "has_more": has_more,
    })  # fmt: skip
