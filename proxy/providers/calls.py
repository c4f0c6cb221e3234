"""One attempt's request as its upstream wants it: address, headers, body, and the way back.

Called by upstream.py for each attempt. What differs between families is chosen here, once.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson
from multidict import CIMultiDict
from yarl import URL

from config.clock import Clock
from policies.snapshot import Target
from proxy.bodies import body_for, changed_document
from proxy.context import RequestContext
from proxy.live import UpstreamDoor
from proxy.providers.matrix import way_of
from proxy.providers.translation import Translator, UntranslatableError
from proxy.wire_headers import headers_up


class Prepared(NamedTuple):
    """One request, ready to be sent; `translator` turns its answer into the caller's dialect."""

    url: URL
    headers: CIMultiDict[str]
    body: bytes
    translator: Translator | None = None


class Preparer:
    """Prepares the attempts of one proxy process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def prepare(
        self, ctx: RequestContext, target: Target, door: UpstreamDoor, caller: Mapping[str, str]
    ) -> Prepared:
        """Build the request of an attempt that is not open yet; raises UntranslatableError."""
        way = way_of(ctx.endpoint, door.upstream)
        if way.action == "refuse":
            raise UntranslatableError(refusal_text(ctx.endpoint, door), way.hint, param="model")
        headers = headers_up(
            caller,
            door.headers,
            f"{ctx.request_id}.{ctx.attempts + 1}",
            is_mock=door.is_mock,
            is_translated=bool(way.translator),
        )
        if way.translator is None:
            url = door.addresses.url(way.path, target.model, is_streaming=ctx.is_streaming)
            return Prepared(url, headers, body_for(ctx, target, door))
        document = way.translator.request(changed_document(ctx, target, door))
        if door.converse is None:
            url = door.addresses.url(way.path, target.model, is_streaming=ctx.is_streaming)
            return Prepared(url, headers, orjson.dumps(document), way.translator)
        call = door.converse.prepare(
            target.model, document, is_streaming=ctx.is_streaming, now_us=self._clock.now_us()
        )
        for name, value in call.headers.items():
            headers[name] = value
        return Prepared(URL(call.url, encoded=True), headers, call.body, way.translator)


def refusal_text(endpoint: str, door: UpstreamDoor) -> str:
    """Say that a dialect cannot be spoken to an upstream."""
    upstream = door.upstream
    return f"Upstream {upstream.name} (kind {upstream.kind}) cannot serve {endpoint} requests."
