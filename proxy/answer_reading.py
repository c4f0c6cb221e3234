"""Reads the answer to one attempt: a document, or the beginning of a stream, as the caller speaks.

Called by upstream.py. Whatever is no good answer leaves as AttemptFailedError, noted on the END;
what an answer says of itself is noted there, too, and objects it names are claimed.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import AttemptEnd
from policies.snapshot import Target
from proxy.bodies import injects_usage
from proxy.context import RequestContext
from proxy.dialects.dialect import AnswerFacts, StreamTap, text_of
from proxy.providers.calls import Prepared
from proxy.providers.translation import StreamTranslator, Translator
from proxy.recorder import Recorder, put_usage
from proxy.redaction import without_key
from proxy.resources.ownership import Owner, OwnershipMap
from proxy.retry import Failure, failure_of_status, unusable
from proxy.upstream_client import UpstreamReply

LARGEST_ANSWER_BYTES = 67_108_864
LARGEST_ERROR_BYTES = 1_048_576
LARGEST_PRELUDE_BYTES = 1_048_576  # comments before the first event
LARGEST_SAMPLE_BYTES = 1_048_576  # of an answer without usage, for an estimate
STREAM_TYPES = ("text/event-stream", "application/vnd.amazon.eventstream")


@dataclass(slots=True)
class UpstreamAnswer:
    """An answer good enough to give: a whole document, or a stream with its first events."""

    target: Target
    end: AttemptEnd
    headers: Mapping[str, str]
    status: int
    body: bytes = b""
    document: dict[str, Any] | None = None
    tap: StreamTap | None = None
    translation: StreamTranslator | None = None
    first: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    reply: UpstreamReply | None = None
    claim: Callable[[Collection[str]], None] = lambda _: None  # objects a stream names later on


class AttemptFailedError(Exception):
    """One attempt brought nothing; `failure` says what that means."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AnswerReader:
    """Reads the answers of one proxy process."""

    def __init__(
        self, recorder: Recorder, ownership: OwnershipMap, clock: Clock, metrics: Metrics
    ) -> None:
        self._recorder = recorder
        self._ownership = ownership
        self._clock = clock
        self._metrics = metrics

    async def read(
        self, ctx: RequestContext, target: Target, prepared: Prepared, reply: UpstreamReply
    ) -> UpstreamAnswer:
        """Return the answer to the attempt that is open; raises AttemptFailedError."""
        end = ctx.open_end
        if end is None:
            raise RuntimeError("an answer needs an open attempt")
        end.upstream_status = reply.status
        headers = reply.headers
        end.upstream_request_id = (headers.get("x-request-id") or headers.get("request-id", ""))[
            :128
        ]
        end.first_byte_us = self._recorder.since_us(ctx)
        if not 200 <= reply.status < 300:
            body = await reply.read(LARGEST_ERROR_BYTES)
            body = without_key(body, ctx.live.doors[target.upstream].upstream.api_key)
            body = translated_error(body, prepared.translator)
            failure = failure_of_status(reply.status, headers, body, self._clock.now())
            raise failed_attempt(end, failure)
        if headers.get("Content-Type", "").lower().startswith(STREAM_TYPES):
            if not ctx.is_streaming:
                message = "The upstream sent a stream that nobody asked for."
                raise failed_attempt(end, unusable(message))
            return await self._open_stream(ctx, target, prepared, end, reply)
        whole = reply.take_whole(LARGEST_ANSWER_BYTES)
        body = await reply.read(LARGEST_ANSWER_BYTES) if whole is None else whole
        return self._read_document(ctx, prepared, target, end, reply, body)

    def _read_document(
        self,
        ctx: RequestContext,
        prepared: Prepared,
        target: Target,
        end: AttemptEnd,
        reply: UpstreamReply,
        body: bytes,
    ) -> UpstreamAnswer:
        reply.close()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            message = "The upstream's answer is not JSON."
            raise failed_attempt(end, unusable(message)) from error
        if not isinstance(document, dict) or document.get("error"):
            raise failed_attempt(end, unusable("The upstream answered 200 with an error."))
        try:
            usage = raw_usage(document) if prepared.translator else None
            if prepared.translator is not None:
                document = prepared.translator.answer(document, ctx.doc)
                body = orjson.dumps(document)
            facts = ctx.dialect.read_answer(document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Translators meet whatever an upstream calls an answer.
            message = "The upstream's answer has another shape."
            raise failed_attempt(end, unusable(message)) from error
        self._put_facts(ctx, end, facts, usage)
        ids = facts.object_ids
        if ctx.endpoint == "chat" and not ctx.allows_store:
            ids = (text_of(document.get("id")),)  # a stored completion can be asked for again
        self._claim(ctx, target, ids, is_open=facts.is_pending)
        end.response_bytes = len(body)
        if end.usage_source == "unknown":
            ctx.answer_sample = [body[:LARGEST_SAMPLE_BYTES]]
        return UpstreamAnswer(
            target=target,
            end=end,
            headers=reply.headers,
            status=reply.status,
            body=body,
            document=document,
        )

    def _put_facts(
        self,
        ctx: RequestContext,
        end: AttemptEnd,
        facts: AnswerFacts,
        usage: Mapping[str, Any] | None,
    ) -> None:
        """Note on the END what the answer says of itself; the provider's own usage comes first."""
        end.served_model = facts.model or end.upstream_model
        end.served_tier = facts.service_tier
        end.finish_reasons = facts.finish_reasons
        if ctx.dialect.is_free:
            end.usage_source = "none"
        elif facts.is_pending:
            end.usage_source = "deferred"
        else:
            put_usage(end, usage or facts.usage, self._metrics)
            if end.usage_source == "unknown" and usage is not None:
                # Words of a provider that only its translation knows.
                put_usage(end, facts.usage, self._metrics)
            if facts.units:
                end.units |= facts.units

    async def _open_stream(
        self,
        ctx: RequestContext,
        target: Target,
        prepared: Prepared,
        end: AttemptEnd,
        reply: UpstreamReply,
    ) -> UpstreamAnswer:
        """Wait for the first real event: until then a failure can still be hidden."""
        keeps = ctx.live.snapshot.cache.max_entry_bytes if ctx.keeps_answer else 0
        if ctx.dialect.open_tap is None:
            raise failed_attempt(end, unusable("The upstream sent a stream that nobody asked for."))
        translation = prepared.translator.stream(ctx.doc) if prepared.translator else None
        door = ctx.live.doors[target.upstream]
        tap = ctx.dialect.open_tap(injects_usage(ctx, door), keeps)
        chunks = reply.chunks()
        if translation is not None:
            chunks = translated(chunks, translation)
        first = b""
        async for chunk in chunks:
            first += tap.feed(chunk)
            if tap.has_events or tap.is_done or tap.error or len(first) > LARGEST_PRELUDE_BYTES:
                break
        if tap.error is not None or not tap.has_events:
            what = "opened with an error" if tap.error else "was empty"
            raise failed_attempt(end, unusable(f"The upstream's stream {what}."))
        end.first_byte_us = self._recorder.since_us(ctx)
        end.served_model = tap.model or target.model
        self._claim(ctx, target, tap.object_ids, is_open=False)
        return UpstreamAnswer(
            target=target,
            end=end,
            headers=reply.headers,
            status=reply.status,
            tap=tap,
            translation=translation,
            first=first,
            chunks=chunks,
            reply=reply,
            claim=lambda ids: self._claim(ctx, target, ids, is_open=False),
        )

    def _claim(
        self, ctx: RequestContext, target: Target, ids: Collection[str], *, is_open: bool
    ) -> None:
        """Record whose the objects of an answer are, before the caller learns of them."""
        if ids and ctx.key is not None:
            owner = Owner(ctx.key.tenant, target.upstream, target.model)
            self._ownership.claim(ids, owner, is_open=is_open)


def failed_attempt(end: AttemptEnd, failure: Failure) -> AttemptFailedError:
    """Note on the END what went wrong."""
    end.outcome = failure.outcome
    end.error_code = failure.code
    end.usage_source = "unknown" if failure.may_have_run else "none"
    if failure.retry_after_s is not None:
        end.retry_after_ms = int(failure.retry_after_s * 1000)
    return AttemptFailedError(failure)


async def translated(
    chunks: AsyncIterator[bytes], translation: StreamTranslator
) -> AsyncIterator[bytes]:
    """Pass a stream through a translation; what is not yet a whole event waits in there."""
    async for chunk in chunks:
        out = translation.feed(chunk)
        if out:
            yield out


def translated_error(body: bytes, translator: Translator | None) -> bytes:
    """Return an error in the caller's dialect where it is one of the upstream's dialect."""
    if translator is None:
        return body
    try:
        document = orjson.loads(body)
        error = translator.error(document) if isinstance(document, dict) else None
    except ValueError:
        return b""
    return orjson.dumps(error) if error is not None else b""


def raw_usage(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the provider's own usage block of an answer, whatever its dialect calls it."""
    usage = document.get("usage") or document.get("usageMetadata")
    return usage if isinstance(usage, dict) else None
