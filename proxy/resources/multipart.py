"""The `model` field of a multipart form, found and rewritten in its first bytes (pure).

Called by relay.py. The form itself is never taken apart: boundary, order and file names stay.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from proxy.errors import InvalidRequestError

PEEK_BYTES = 1_048_576
BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))', re.IGNORECASE)
NAME = re.compile(
    rb'^Content-Disposition:[^\r\n]{0,512}?;\s*name="?([\w\[\]]{1,64})"?\s*(?:;|\r|$)',
    re.IGNORECASE | re.MULTILINE,
)
IS_FILE = re.compile(
    rb"^Content-Disposition:[^\r\n]{0,512};\s*filename", re.IGNORECASE | re.MULTILINE
)
REFERENCE = re.compile(r"(\w+_ids?)(?:\[\])?")
LONGEST_HEAD_BYTES = 2048  # of one part: a hostile one costs no more than its own bytes
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
    for name, field in _fields(peeked, boundary):
        if name == "model":
            if field.end - field.start > LONGEST_MODEL_BYTES:
                raise InvalidRequestError("The field model is too long.", "Name one model.")
            return field
    return None


def form_references(peeked: bytes, boundary: bytes) -> list[tuple[str, str]]:
    """Return (field, value) of every field of the form that is named like an object's id."""
    found = []
    for name, field in _fields(peeked, boundary):
        match = REFERENCE.fullmatch(name)
        if match is not None:
            found.append((match[1], field.value[:LONGEST_MODEL_BYTES]))
    return found


def _fields(data: bytes, boundary: bytes) -> Iterator[tuple[str, FormField]]:
    """Iterate over the whole fields that are no files, whatever the order of their headers."""
    at = data.find(boundary)
    while at >= 0:
        start = at + len(boundary) + 2
        following = data.find(b"\r\n" + boundary, start)
        if following < 0:
            return
        head_end = data.find(b"\r\n\r\n", start, min(start + LONGEST_HEAD_BYTES, following))
        head = data[start:head_end] if head_end >= 0 else b""
        name = NAME.search(head)
        if name is not None and not IS_FILE.search(head):
            value = data[head_end + 4 : following]
            text = value[: LONGEST_MODEL_BYTES + 1].decode(errors="replace").strip()
            yield name[1].decode(), FormField(text, head_end + 4, following)
        at = following + 2
