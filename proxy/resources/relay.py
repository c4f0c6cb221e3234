"""The life of a call to a route that is no dialect; the counterpart of pipeline.py.

auth -> admit -> path -> body -> whose objects -> upstream -> relay, and an END for every START.
Called by routes.py for everything below /v1/ that no dialect answers. Never retried, never cached:
these calls make, change and show objects.
"""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from ledger.events import AttemptEnd, Outcome
from policies.snapshot import Target
from proxy.admission import Admission
from proxy.context import RequestContext
from proxy.errors import GatewayError
from proxy.redaction import without_key
from proxy.refusals import refusal_of
from proxy.resources.answering import ResourceAnswer
from proxy.resources.choosing import Choice, choose_upstream
from proxy.resources.dialect import resource_dialect
from proxy.resources.incoming import Incoming, read_incoming
from proxy.resources.learning import Lesson
from proxy.resources.listing import is_shared_list, list_owned
from proxy.resources.ownership import Owner, OwnershipMap
from proxy.resources.paths import ResourcePath, read_path
from proxy.resources.references import check_references, owned
from proxy.retry import Failure, failure_of_fault, failure_of_status, timed_out
from proxy.scopes import check_model
from proxy.upstream_client import UpstreamCall, UpstreamClient, UpstreamFault, UpstreamReply
from proxy.wire_headers import headers_up

LARGEST_ERROR_BYTES = 1_048_576
LONGEST_QUERY_CHARACTERS = 2048
# The gateway's own choice, or the caller's credential.
DROPPED_QUERY = frozenset({"api-version", "key", "api_key"})


@dataclass(slots=True)
class ResourceRelay:
    """Relays the calls of one proxy process."""

    admission: Admission
    ownership: OwnershipMap
    client: UpstreamClient

    async def handle(
        self, request: web.Request, raw_path: str, model: str = ""
    ) -> web.StreamResponse:
        """Answer one call; `raw_path` is below /v1/, `model` what the path says of it."""
        ctx = self.admission.open(resource_dialect(raw_path))
        ctx.model = model

        async def answer(ctx: RequestContext, request: web.Request) -> web.StreamResponse:
            return await self._answer(ctx, request, read_path(raw_path))

        return await self.admission.run(ctx, request, answer)

    async def _answer(
        self, ctx: RequestContext, request: web.Request, path: ResourcePath
    ) -> web.StreamResponse:
        incoming = await read_incoming(request, ctx.live.snapshot.limits.max_body_bytes)
        ctx.body, ctx.doc, ctx.model = (
            incoming.whole,
            incoming.document,
            ctx.model or incoming.model,
        )
        if ctx.key is not None:
            check_model(ctx.key, ctx.endpoint, ctx.model)
        choice = await self._choose(ctx, path, incoming)
        target = Target(choice.door.upstream.name, choice.model)
        await self.admission.governor.admit_resource(ctx, request.method, target, path.text)
        owner = Owner(_tenant(ctx), choice.door.upstream.name, choice.model)
        lesson = Lesson(request.method, path, owner, self.ownership, self.admission.metrics)
        answer = ResourceAnswer(ctx, request, lesson, self.admission)
        outgoing = _Outgoing(path, choice, incoming)
        if request.method == "GET" and is_shared_list(path):
            return await self._answer_list(ctx, request, outgoing, answer)
        query = _passed_query(request.rel_url)
        return await answer.relay(await self._call(ctx, request, outgoing, query))

    async def _choose(self, ctx: RequestContext, path: ResourcePath, incoming: Incoming) -> Choice:
        """Choose the upstream; a call that nothing can serve counts as a request all the same."""
        try:
            pinned = self._pinned(ctx, path, incoming)
            return choose_upstream(ctx.live, ctx.model, pinned, _tenant(ctx))
        except GatewayError:
            if ctx.key is not None:
                await self.admission.governor.admit_free(ctx.key, ctx.live)
            raise

    def _pinned(self, ctx: RequestContext, path: ResourcePath, incoming: Incoming) -> Owner | None:
        """Return where the call's objects live; 404 when one is not this tenant's."""
        tenant = _tenant(ctx)
        pinned = check_references(incoming.document, tenant, self.ownership)
        for name, object_id in incoming.references:
            pinned = owned(object_id, tenant, self.ownership, name)
        if path.object_id:
            pinned = owned(path.object_id, tenant, self.ownership)
        return pinned

    async def _answer_list(
        self,
        ctx: RequestContext,
        request: web.Request,
        outgoing: "_Outgoing",
        answer: ResourceAnswer,
    ) -> web.StreamResponse:
        """Answer a list of everybody's objects with the caller's own ones."""

        async def fetch(query: str) -> UpstreamReply:
            reply = await self._call(ctx, request, outgoing, query)
            if ctx.open_end is not None:  # each page is an attempt of its own, and a good one
                ctx.open_end.outcome, ctx.open_end.usage_source = Outcome.ok, "none"
            return reply

        owner = Owner(_tenant(ctx), outgoing.choice.door.upstream.name)
        body = await list_owned(request.query, owner, self.ownership, fetch)
        return answer.finish_document(200, {}, body)

    async def _call(
        self, ctx: RequestContext, request: web.Request, outgoing: "_Outgoing", query: str
    ) -> UpstreamReply:
        """Open an attempt and send; raises GatewayError unless the answer is a good one."""
        door = outgoing.choice.door
        recorder = self.admission.recorder
        end = recorder.open(ctx, Target(door.upstream.name, outgoing.choice.model))
        call_id = f"{ctx.request_id}.{ctx.attempts}"
        headers = headers_up(request.headers, door.headers, call_id, is_mock=door.is_mock)
        headers["Content-Type"] = outgoing.incoming.content_type or "application/json"
        call = UpstreamCall(
            url=door.addresses.resource(outgoing.path.text, query),
            headers=headers,
            body=outgoing.incoming.body(outgoing.choice.model),
            connect_s=ctx.live.snapshot.timeouts.connect_s,
            allows_private=door.allows_private,
            method=request.method,
        )
        try:
            async with asyncio.timeout(max(0.05, ctx.deadline - self.admission.clock.monotonic())):
                reply = await self.client.send(call)
        except UpstreamFault as fault:
            raise _refusal(end, failure_of_fault(fault)) from fault
        except TimeoutError as error:
            raise _refusal(end, timed_out("no answer in time")) from error
        end.upstream_status = reply.status
        end.upstream_request_id = reply.headers.get("x-request-id", "")[:128]
        end.first_byte_us = recorder.since_us(ctx)
        if not 200 <= reply.status < 300:
            raise await self._refused(end, reply, door.upstream.api_key)
        return reply

    async def _refused(self, end: AttemptEnd, reply: UpstreamReply, api_key: str) -> GatewayError:
        try:
            body = without_key(await reply.read(LARGEST_ERROR_BYTES), api_key)
        except UpstreamFault as fault:
            return _refusal(end, failure_of_fault(fault))
        finally:
            reply.close()
        now = self.admission.clock.now()
        return _refusal(end, failure_of_status(reply.status, reply.headers, body, now))


class _Outgoing(NamedTuple):
    path: ResourcePath
    choice: Choice
    incoming: Incoming


def _tenant(ctx: RequestContext) -> str:
    if ctx.key is None:
        raise RuntimeError("a resource call needs a tenant")
    return ctx.key.tenant


def _refusal(end: AttemptEnd, failure: Failure) -> GatewayError:
    """Note on the END what went wrong, and return what the caller gets instead."""
    end.outcome, end.error_code = failure.outcome, failure.code
    end.usage_source = "unknown" if failure.may_have_run else "none"
    return refusal_of(failure, has_retried=False, upstream=end.upstream)


def _passed_query(url: URL) -> str:
    """Return the caller's query without what is the gateway's to choose."""
    if len(url.raw_query_string) > LONGEST_QUERY_CHARACTERS:
        message = "The query is too long."
        raise GatewayError(414, "query_too_long", message, "Send fewer parameters.")
    kept = [(name, value) for name, value in url.query.items() if name not in DROPPED_QUERY]
    return urlencode(kept)
