"""Keeps what an estimate needs of attempts that ended without usage: one sealed file each.

Called by recorder.py after such an END is in the log. Bounded in bytes and files: when the spool
is full the newest is not written, and counted. A failure here never reaches the caller.
"""

import os
from pathlib import Path

import orjson

from config.files import write_atomically
from config.metrics import Metrics
from config.secrets import KeyRing
from ledger.events import END, AttemptEnd, event_id
from ledger.unmetered_record import MOST_BODY_BYTES, SUFFIX, UnmeteredRecord, seal_record
from proxy.context import RequestContext

MOST_SPOOL_BYTES = 67_108_864
MOST_SPOOL_RECORDS = 10_000
COUNTABLE = frozenset({
    "chat", "completions", "messages", "responses", "gemini",
    "embeddings", "gemini_embed", "gemini_batch_embed",
})  # fmt: skip


class UnmeteredSpool:
    """One proxy's part of the spool; a part is 1/`parts` of the whole in bytes and records.

    What it holds is tallied from above: the worker takes files away unseen, and only a spool that
    looks full is counted again.
    """

    def __init__(self, directory: Path, key_ring: KeyRing, metrics: Metrics, parts: int) -> None:
        self._directory = directory
        self._key_ring = key_ring
        self._metrics = metrics
        self._most_bytes = MOST_SPOOL_BYTES // parts
        self._most_records = MOST_SPOOL_RECORDS // parts
        self._bytes = 0
        self._records = 0
        self.is_full = False
        self.recount()

    def keep(self, ctx: RequestContext, end: AttemptEnd) -> None:
        """Write the record of an attempt whose END says `unknown`; what has no text is left out."""
        is_wanted = ctx.live.snapshot.estimates.enabled and end.endpoint in COUNTABLE
        if not is_wanted or not ctx.body:
            return
        try:
            sealed = seal_record(_record_of(ctx, end), self._key_ring)
            if self._has_room(len(sealed)):
                self._write(end, sealed)
            else:
                self._metrics.count("apex_unmetered_dropped_total", ("full",))
        except (OSError, orjson.JSONEncodeError):
            self._metrics.count("apex_unmetered_dropped_total", ("failed",))

    def recount(self) -> None:
        """See what the worker has left; takes milliseconds when it is much. OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sizes = [_size_of(entry) for entry in os.scandir(self._directory)]
        self._bytes, self._records = sum(sizes), len(sizes)
        self.is_full = self._records >= self._most_records or self._bytes >= self._most_bytes

    def _has_room(self, size: int) -> bool:
        self.is_full = self.is_full or (
            self._records >= self._most_records or self._bytes + size > self._most_bytes
        )
        return not self.is_full

    def _write(self, end: AttemptEnd, sealed: bytes) -> None:
        name = event_id(end.tenant, end.request_id, end.attempt, END)
        write_atomically(self._directory / f"{name}{SUFFIX}", sealed, mode=0o600)
        self._records += 1
        self._bytes += len(sealed)


def _record_of(ctx: RequestContext, end: AttemptEnd) -> UnmeteredRecord:
    return UnmeteredRecord(
        end=orjson.dumps(end),
        body=ctx.body[:MOST_BODY_BYTES],
        body_total_bytes=len(ctx.body),
        answer=b"".join(ctx.answer_sample),
        answer_total_bytes=end.response_bytes,
    )


def _size_of(entry: os.DirEntry[str]) -> int:
    """In bytes; 0 for what the worker has taken away meanwhile."""
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0
