"""One attempt's request as its upstream wants it: address, headers, body, and the way back.

Called by upstream.py for each attempt. What differs between families is chosen here, once.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson
from multidict import CIMultiDict
from yarl import URL

from policies.snapshot import Target
from proxy.bodies import body_for, changed_document
from proxy.context import RequestContext
from proxy.live import UpstreamDoor
from proxy.providers.matrix import Way, way_of
from proxy.providers.translation import Translator, UntranslatableError
from proxy.wire_headers import headers_up


class Prepared(NamedTuple):
    """One request, ready to be sent; `translator` turns its answer into the caller's dialect."""

    url: URL
    headers: CIMultiDict[str]
    body: bytes
    translator: Translator | None = None


def prepare_call(
    ctx: RequestContext, target: Target, door: UpstreamDoor, caller: Mapping[str, str], call_id: str
) -> Prepared:
    """Build the request of an attempt; raises UntranslatableError, before anything is recorded."""
    way = way_of(ctx.endpoint, door.family, door.upstream.kind)
    if way.action == "refuse":
        raise UntranslatableError(refusal_text(ctx.endpoint, door), way.hint, param="model")
    url = door.addresses.url(way.path, target.model, is_streaming=ctx.is_streaming)
    headers = headers_up(
        caller, door.headers, call_id, is_mock=door.is_mock, is_translated=bool(way.translator)
    )
    return Prepared(url, headers, _body(ctx, target, door, way), way.translator)


def _body(ctx: RequestContext, target: Target, door: UpstreamDoor, way: Way) -> bytes:
    if way.translator is None:
        return body_for(ctx, target, door)
    return orjson.dumps(way.translator.request(changed_document(ctx, target, door)))


def refusal_text(endpoint: str, door: UpstreamDoor) -> str:
    """Say that a dialect cannot be spoken to an upstream."""
    upstream = door.upstream
    return f"Upstream {upstream.name} (kind {upstream.kind}) cannot serve {endpoint} requests."
