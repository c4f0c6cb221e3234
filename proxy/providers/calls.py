"""One attempt's request as its upstream wants it: address, headers, body, and the way back.

Called by upstream.py for each attempt. What differs between families is chosen here, once.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from multidict import CIMultiDict
from yarl import URL

from config.clock import Clock
from policies.snapshot import Target
from proxy.bodies import body_for, changed_document
from proxy.callers import Head
from proxy.context import RequestContext
from proxy.live import UpstreamDoor
from proxy.providers.matrix import way_of
from proxy.providers.prepared_call import PreparedCall
from proxy.providers.translation import Translator, UntranslatableError
from proxy.wire_headers import headers_up
from proxy.wire_request import head_bytes

CALL_ID = "x-client-request-id"


class Prepared(NamedTuple):
    """One request, ready to be sent; `translator` turns its answer into the caller's dialect.

    `head` is the request line and all headers but the length, as bytes, where it was ready; then
    `headers` are without the call's id.
    """

    url: URL
    headers: CIMultiDict[str]
    body: bytes
    translator: Translator | None = None
    head: bytes = b""


class Preparer:
    """Prepares the attempts of one proxy process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def prepare(
        self, ctx: RequestContext, target: Target, door: UpstreamDoor, caller: Mapping[str, str]
    ) -> Prepared:
        """Build the request of an attempt that is not open yet; raises UntranslatableError."""
        if door.tenant and (ctx.key is None or door.tenant != ctx.key.tenant):
            raise RuntimeError("a door of another tenant")  # never: targets are bound by tenant
        call_id = f"{ctx.request_id}.{ctx.attempts + 1}"
        name = (ctx.endpoint, target, ctx.is_streaming)
        ready = ctx.caller.heads.get(name) if ctx.caller is not None else None
        if ready is None:
            way = way_of(ctx.endpoint, door.upstream)
            if way.action == "refuse":
                raise UntranslatableError(refusal_text(ctx.endpoint, door), way.hint, param="model")
            if way.translator is not None:
                headers = headers_up(
                    caller, door.headers, call_id, is_mock=door.is_mock, is_translated=True
                )
                return self._translate(ctx, target, door, way.path, way.translator, headers)
            ready = _make_head(caller, ctx, target, door, way.path)
            if ctx.caller is not None:
                ctx.caller.heads[name] = ready
        head = b"%b%b\r\n" % (ready.raw, call_id.encode())
        return Prepared(ready.url, ready.headers, body_for(ctx, target, door), None, head)

    def _translate(
        self, ctx: RequestContext, target: Target, door: UpstreamDoor, path: str,
        translator: Translator, headers: CIMultiDict[str],
    ) -> Prepared:  # fmt: skip
        document = self._document(ctx, target, door)
        if door.litellm is not None:
            call, back = door.litellm.prepare(
                translator, document, target.model, is_streaming=ctx.is_streaming
            )
            return _prepared(call, headers, back)
        document = translator.request(document)
        if not door.asks_usage:
            document.pop("stream_options", None)
        if door.converse is not None:
            call = door.converse.prepare(
                target.model, document, is_streaming=ctx.is_streaming, now_us=self._clock.now_us()
            )
            return _prepared(call, headers, translator)
        url = door.addresses.url(path, target.model, is_streaming=ctx.is_streaming)
        return Prepared(url, headers, _written(document), translator)

    def _document(self, ctx: RequestContext, target: Target, door: UpstreamDoor) -> dict[str, Any]:
        """The document to translate; Anthropic must be told a bound, so it is the model's own."""
        document = changed_document(ctx, target, door)
        bounds = ctx.dialect.output_bounds
        if door.family != "anthropic" or not bounds or any(document.get(name) for name in bounds):
            return document
        limits = ctx.live.book.model_limits("anthropic", target.model)
        if limits is not None and limits.max_output:
            document[bounds[0]] = limits.max_output
        return document


def _make_head(
    caller: Mapping[str, str], ctx: RequestContext, target: Target, door: UpstreamDoor, path: str
) -> Head:
    """What all calls of a caller to a target begin with, when they are relayed."""
    url = door.addresses.url(path, target.model, is_streaming=ctx.is_streaming)
    headers = headers_up(caller, door.headers, "", is_mock=door.is_mock)
    del headers[CALL_ID]
    return Head(url, headers, head_bytes(url, headers) + f"{CALL_ID}: ".encode())


def _prepared(call: PreparedCall, headers: CIMultiDict[str], back: Translator) -> Prepared:
    """A call whose address and headers were made with its body, and may cover it."""
    for name, value in call.headers.items():
        headers[name] = value
    return Prepared(URL(call.url, encoded=True), headers, call.body, back)


def _written(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        hint = "Flatten it to at most 254 levels."
        raise UntranslatableError("The body is nested too deeply.", hint) from error


def refusal_text(endpoint: str, door: UpstreamDoor) -> str:
    """Say that a dialect cannot be spoken to an upstream."""
    upstream = door.upstream
    return f"Upstream {upstream.name} (kind {upstream.kind}) cannot serve {endpoint} requests."
