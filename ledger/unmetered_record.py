"""What is kept of an attempt without usage until its tokens are counted: form, seal, file name.

Written by proxy.unmetered, read by ledger.estimates. The only thing on disk that holds prompts,
and never in clear: AES-GCM under a key of its own purpose.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from config.secrets import KeyRing

SCHEMA = 1
SEAL_PURPOSE = "unmetered"
SUFFIX = ".sealed"
MOST_BODY_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class UnmeteredRecord:
    """One attempt: its END as JSON, and request and answer in the caller's dialect.

    `body` and `answer` may be cut short; the totals say in bytes how long they truly were.
    """

    end: bytes
    body: bytes
    body_total_bytes: int
    answer: bytes
    answer_total_bytes: int


def seal_record(record: UnmeteredRecord, key_ring: KeyRing) -> bytes:
    """A line of JSON that tells the parts' lengths, then the parts; encrypted as a whole."""
    header = {
        "schema": SCHEMA,
        "end_bytes": len(record.end),
        "body_bytes": len(record.body),
        "body_total_bytes": record.body_total_bytes,
        "answer_bytes": len(record.answer),
        "answer_total_bytes": record.answer_total_bytes,
    }
    parts = (orjson.dumps(header), b"\n", record.end, record.body, record.answer)
    return key_ring.seal(SEAL_PURPOSE, b"".join(parts))


def open_record(sealed: bytes, key_ring: KeyRing) -> UnmeteredRecord:
    """The record of a file. ConfigError when it cannot be unsealed, ValueError when it is none."""
    plain = key_ring.unseal(SEAL_PURPOSE, sealed)
    line, _, rest = plain.partition(b"\n")
    header = orjson.loads(line)
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise ValueError("not a record of a schema this version reads")
    sizes = [_size(header, name) for name in ("end_bytes", "body_bytes", "answer_bytes")]
    if sum(sizes) != len(rest):
        raise ValueError("the parts are not as long as the record says")
    body_at, answer_at = sizes[0], sizes[0] + sizes[1]
    return UnmeteredRecord(
        end=rest[:body_at],
        body=rest[body_at:answer_at],
        body_total_bytes=_size(header, "body_total_bytes"),
        answer=rest[answer_at:],
        answer_total_bytes=_size(header, "answer_total_bytes"),
    )


def _size(header: dict[str, Any], name: str) -> int:
    value = header.get(name)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is no length")
    return value
