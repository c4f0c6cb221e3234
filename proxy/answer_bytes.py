"""A stored answer as it lies in Redis: signed for tenant, question and last purge (pure).

Used by shared_answers.py. Redis is not trusted: what anybody else wrote, another version, another
tenant or another question's answer does not verify and is none.
"""

import hmac
from typing import Any, NamedTuple

import orjson

from config.mac import hmac_sha256
from ledger.rating import TokenBuckets
from proxy.answers import StoredAnswer
from proxy.live import Place

SCHEMA = b"1"
MAC_BYTES = 32


class ForeignEntryError(Exception):
    """Bytes that this gateway did not write for this question."""


class PurgedEntryError(Exception):
    """An entry of before the tenant's last purge."""


class Label(NamedTuple):
    """What an entry is signed for."""

    tenant: str
    request_key: str
    mark: bytes  # of the tenant's last purge


class Entry(NamedTuple):
    """An answer with its times in unix microseconds."""

    answer: StoredAnswer
    stored_us: int
    expires_us: int


def encode_entry(entry: Entry, label: Label, key: bytes) -> bytes:
    """The bytes to keep; `key` is the tenant's own."""
    answer = entry.answer
    head = {
        "form": answer.form,
        "request_id": answer.request_id,
        "place": list(answer.place),
        "upstream_model": answer.upstream_model,
        "served_model": answer.served_model,
        "served_tier": answer.served_tier,
        "finish_reasons": answer.finish_reasons,
        "buckets": None if answer.buckets is None else list(answer.buckets),
        "provider_usage": answer.provider_usage,
        "body_digest": answer.body_digest,
        "stored_us": entry.stored_us,
        "expires_us": entry.expires_us,
    }
    signed = orjson.dumps(head) + b"\n" + answer.body
    mark = bytes([len(label.mark)]) + label.mark
    return SCHEMA + mark + _mac(label, signed, key) + signed


def decode_entry(data: bytes, label: Label, key: bytes) -> Entry:
    """The entry; `stored_at` of its answer is to be set by the reader.

    Raises ForeignEntryError or PurgedEntryError.
    """
    if data[:1] != SCHEMA or len(data) < 2:
        raise ForeignEntryError
    begin = 2 + data[1]
    mac, signed = data[begin : begin + MAC_BYTES], data[begin + MAC_BYTES :]
    own = label._replace(mark=data[2:begin])
    if not hmac.compare_digest(mac, _mac(own, signed, key)):
        raise ForeignEntryError
    if own.mark != label.mark:
        raise PurgedEntryError
    raw, _, body = signed.partition(b"\n")
    head: dict[str, Any] = orjson.loads(raw)  # it is our own: the signature says so
    stored_us, expires_us = head.pop("stored_us"), head.pop("expires_us")
    buckets = head.pop("buckets")
    answer = StoredAnswer(
        **{
            **head,
            "place": Place(*head["place"]),
            "buckets": None if buckets is None else TokenBuckets(*buckets),
            "body": body,
            "stored_at": 0.0,
        }
    )
    return Entry(answer, stored_us, expires_us)


def _mac(label: Label, signed: bytes, key: bytes) -> bytes:
    named = orjson.dumps([SCHEMA.decode(), label.tenant, label.request_key, label.mark.hex()])
    return hmac_sha256(key, b"answer\x00" + named + b"\x00" + signed)
