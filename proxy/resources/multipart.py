"""The `model` field of a multipart form, found and rewritten in its first bytes (pure).

Called by relay.py. The form itself is never taken apart: boundary, order and file names stay.
"""

import re
from typing import NamedTuple

from proxy.errors import InvalidRequestError

PEEK_BYTES = 1_048_576
BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))', re.IGNORECASE)
# A part's head: bounded, so that a hostile one costs no more than its own bytes.
MODEL_HEAD = re.compile(
    rb'Content-Disposition:[^\r\n]{0,200};\s*name="?model"?(?:;[^\r\n]{0,200})?\r\n'
    rb"(?:[^\r\n]{1,200}\r\n){0,8}\r\n",
    re.IGNORECASE,
)
REFERENCE_HEAD = re.compile(
    rb'Content-Disposition:[^\r\n]{0,200};\s*name="?(\w{1,64}_ids?)(?:\[\])?"?\r\n'
    rb"(?:[^\r\n]{1,200}\r\n){0,8}\r\n",
    re.IGNORECASE,
)
LONGEST_MODEL_BYTES = 256


class FormField(NamedTuple):
    """A field's value and where its bytes lie in the peeked bytes."""

    value: str
    start: int
    end: int


def boundary_of(content_type: str) -> bytes:
    """Return the delimiter between parts; raises InvalidRequestError when the type names none."""
    match = BOUNDARY.search(content_type)
    if match is None:
        raise InvalidRequestError(
            "The multipart body has no boundary.", "Let your HTTP client set Content-Type."
        )
    return b"--" + (match[1] or match[2]).encode()


def find_model(peeked: bytes, boundary: bytes) -> FormField | None:
    """Find the form's `model` among the bytes seen so far; None while it is not whole."""
    for start, end in _parts(peeked, boundary):
        head = MODEL_HEAD.match(peeked, start, end)
        if head is not None:
            if end - head.end() > LONGEST_MODEL_BYTES:
                raise InvalidRequestError("The field model is too long.", "Name one model.")
            value = peeked[head.end() : end].decode(errors="replace").strip()
            return FormField(value, head.end(), end)
    return None


def form_references(peeked: bytes, boundary: bytes) -> list[tuple[str, str]]:
    """Return (field, value) of every field of the form that is named like an object's id."""
    found = []
    for start, end in _parts(peeked, boundary):
        head = REFERENCE_HEAD.match(peeked, start, end)
        if head is not None:
            value = peeked[head.end() : end].decode(errors="replace").strip()
            found.append((head[1].decode(), value[:LONGEST_MODEL_BYTES]))
    return found


def _parts(data: bytes, boundary: bytes) -> list[tuple[int, int]]:
    """Where the heads of whole parts begin and their values end."""
    parts = []
    at = data.find(boundary)
    while at >= 0:
        start = at + len(boundary) + 2
        following = data.find(b"\r\n" + boundary, start)
        if following < 0:
            break
        parts.append((start, following))
        at = following + 2
    return parts
