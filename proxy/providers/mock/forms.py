"""Reads multipart/form-data out of a body that is in memory; called by exchange.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from aiohttp.multipart import content_disposition_filename, parse_content_disposition

from proxy.providers.mock.errors import MockError, missing, wrong_value

MAX_PARTS = 1000


@dataclass(frozen=True, slots=True)
class FormFile:
    """One uploaded file: the field it came in, its name and its bytes."""

    field: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields by name, in their order, and the files."""

    fields: dict[str, list[str]]
    files: list[FormFile]

    def text(self, name: str, default: str | None = None) -> str:
        """Return the first value of a field; MockError when it is missing without a default."""
        values = self.fields.get(name)
        if values and values[0]:
            return values[0]
        if default is None:
            raise missing(name)
        return default

    def file(self, name: str) -> FormFile:
        for file in self.all_files(name):
            return file
        raise missing(name)

    def all_files(self, name: str) -> list[FormFile]:
        return [file for file in self.files if file.field in {name, f"{name}[]"}]

    def flag(self, name: str) -> bool:
        return self.text(name, "false").lower() == "true"

    def count(self, name: str, default: int, most: int) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= most:
            raise wrong_value(name, f"expected a whole number of 1 to {most}.")
        return int(text)


def read_form(content_type: str, body: bytes) -> Form:
    """Read the parts; MockError when this is no multipart form or one of too many parts."""
    form = Form({}, [])
    for header, content in _parts(body, _boundary(content_type)):
        _, parameters = parse_content_disposition(_disposition(header))
        field = parameters.get("name")
        if not field:
            raise MockError("A part of the form has no name.", code="invalid_multipart")
        file_name = content_disposition_filename(parameters)
        if file_name is not None:
            form.files.append(FormFile(field, file_name, content))
        else:
            name = field.removesuffix("[]")
            form.fields.setdefault(name, []).append(content.decode("utf-8", "replace"))
    return form


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type.replace("\r", "").replace("\n", "")
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise MockError(
            "Expected a multipart/form-data body with a boundary.", code="invalid_multipart"
        )
    return boundary.encode("utf-8", "surrogateescape")


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (headers, content) of every part; the bytes of a part are never looked into."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 1)
    if len(pieces) > MAX_PARTS or len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise MockError("The multipart body is cut off or malformed.", code="invalid_multipart")
    for piece in pieces[1:-1]:
        header, separator, content = piece.partition(b"\r\n\r\n")
        if not separator:
            raise MockError("A part of the form has no headers.", code="invalid_multipart")
        yield header, content


def _disposition(header: bytes) -> str | None:
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return value.strip().decode("utf-8", "replace")
    return None
