"""Rows of the fault matrix: well-framed requests whose content or address is hostile (B4).

Run by test_bad_input_rows.py, printed by tests/docs_tables.py.
"""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.sockets import raw_request

MESSAGES = b'"messages":[{"role":"user","content":"hello"}]'
MODEL = b'"model":"gpt-4o-mini"'
GOOD = b"{" + MODEL + b"," + MESSAGES + b"}"
BOMB = gzip.compress(b" " * (80 << 20), 9, mtime=0)
PATH_TRICKS = (
    "/v1//chat/completions",
    "//v1/chat/completions",
    "/v1/chat%2fcompletions",
    "/v1/chat/completions;x=y",
    "/v1/chat/completions/",
    "/v1/./chat/completions",
    "/v1/models/../chat/completions",
    "/V1/chat/completions",
    "/health/../v1/chat/completions",
    "/health;/v1/chat/completions",
    "/health%2f..%2fv1%2fchat%2fcompletions",
)


@dataclass(frozen=True, slots=True)
class InputRow:
    """One request and the answer: status, code of the error, and calls of the upstream."""

    name: str
    status: int
    code: str
    request: bytes

    @property
    def calls(self) -> int:
        return int(self.status == 200)


def body(name: str, status: int, code: str, content: bytes, *lines: str) -> InputRow:
    return InputRow(name, status, code, raw_request(content, *lines))


def refused(name: str, content: bytes, *lines: str) -> InputRow:
    """Make a row that is answered 400, without a call."""
    return body(name, 400, "invalid_request", content, *lines)


def passed(name: str, content: bytes, *lines: str) -> InputRow:
    return body(name, 200, "", content, *lines)


def with_field(field: bytes) -> bytes:
    return GOOD[:-1] + b"," + field + b"}"


def of_model(name: str) -> bytes:
    return b'{"model":"' + name.encode() + b'",' + MESSAGES + b"}"


def unknown_model(what: str, name: str) -> InputRow:
    return body(f"a model's name with {what}", 404, "model_not_found", of_model(name))


INPUT_ROWS = (
    passed("one good document", GOOD),
    refused("no body", b""),
    refused("a list", b"[]"),
    refused("broken JSON", GOOD[:-1]),
    refused("JSON and more", GOOD + b"{}"),
    refused("a byte order mark first", b"\xef\xbb\xbf" + GOOD),
    refused("bytes that are not UTF-8", GOOD.replace(b"hello", b"\xff\xfe")),
    refused("a lone surrogate", GOOD.replace(b"hello", b"\\ud800")),
    refused("NaN", with_field(b'"temperature":NaN')),
    refused("100,000 levels deep", with_field(b'"x":' + b"[" * 100_000 + b"]" * 100_000)),
    refused("300 levels deep", with_field(b'"x":' + b"[" * 300 + b"]" * 300)),
    refused("2,000,000 empty lists", with_field(b'"x":[' + b"[]," * 2_000_000 + b"[]]")),
    refused("a number of 400 digits", with_field(b'"x":' + b"9" * 400)),
    passed("a field nobody knows", with_field(b'"verbosity_of_2031":"low"')),
    passed("`model` twice: the last counts", b'{"model":"x",' + GOOD[1:]),
    refused("`api_base`", with_field(b'"api_base":"http://127.0.0.1:1"')),
    refused("`base_url`", with_field(b'"base_url":"http://127.0.0.1:1"')),
    refused("`api_key`", with_field(b'"api_key":"sk-mine"')),
    unknown_model("`../`", "../gpt-4o-mini"),
    unknown_model("`#`", "gpt-4o-mini#"),
    unknown_model("`@`", "gpt-4o-mini@evil.example"),
    unknown_model("a look-alike letter", "gpt-4\u043e-mini"),
    unknown_model("a space behind", "gpt-4o-mini "),
    passed("gzip", gzip.compress(GOOD, mtime=0), "Content-Encoding: gzip"),
    passed("deflate", zlib.compress(GOOD), "Content-Encoding: deflate"),
    refused("gzip, cut", gzip.compress(GOOD, mtime=0)[:-12], "Content-Encoding: gzip"),
    refused("gzip by name only", GOOD, "Content-Encoding: gzip"),
    body("a gzip bomb", 413, "request_too_large", BOMB, "Content-Encoding: gzip"),
)


def input_table(rows: Iterable[InputRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| request | answer | upstream calls |", "|---|---|---|"]
    for row in rows:
        code = f" `{row.code}`" if row.code else ""
        lines.append(f"| {row.name} | {row.status}{code} | {row.calls} |")
    return "\n".join(lines) + "\n"
