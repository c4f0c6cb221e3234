"""Rows of the fault matrix: answers that break HTTP, their encoding, or their promise.

Run by test_upstream_rows.py, printed by tests/docs_tables.py.
"""

import gzip
import zlib

import orjson

from tests import fault_replies as replies
from tests.fault_replies import End, Framing, Reply, chat_document, json_reply
from tests.faults.row import Row, Seen, alike
from tests.faults.rows_status import GOOD, JSON

DOCUMENT = orjson.dumps(chat_document())
NOT_JSON_TEXT = DOCUMENT.replace(b"Scripted", b"\xff\xfe")
DEEP = b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
UNUSABLE = Seen(
    "502 InternalServerError `upstream_unusable_answer`, x-should-retry: false",
    3,
    "3 x upstream_error, usage unknown",
)
UNMETERED = Seen("the answer", 1, "ok, usage unknown", is_rescued=False, is_kept=True)
BOMB_BYTES = 80 << 20
NOBODY_ASKED = b"Content-Length: 5\r\nContent-Length: 9"
BOTH_FRAMINGS = b"Transfer-Encoding: chunked\r\nContent-Length: 5"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"


def document(name: str, seen: Seen, reply: Reply) -> Row:
    """Make the row of a fault that only a document can have."""
    return Row(name, seen, None, reply)


def sent(body: bytes, **fields: object) -> Reply:
    """Make a reply of these very bytes, called JSON."""
    return Reply(headers=JSON, pieces=(body,), **fields)  # type: ignore[arg-type]


def packed(name: str, body: bytes) -> Reply:
    return Reply(headers=(*JSON, ("Content-Encoding", name)), pieces=(body,))


def raw(head: bytes, body: bytes, before: bytes = b"") -> Reply:
    """Make a reply whose framing is written out, whatever it is."""
    start = before + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return Reply(raw_head=start + head + b"\r\n\r\n" + body, framing=Framing.close, end=End.close)


def sized(body: bytes, before: bytes = b"") -> Reply:
    return raw(b"Content-Length: %d" % len(body), body, before)


def chunked(size: bytes) -> Reply:
    """Make a chunked reply whose first chunk claims this size."""
    return raw(b"Transfer-Encoding: chunked", size + b"\r\n" + DOCUMENT + b"\r\n0\r\n\r\n")


BODY_ROWS = (
    document("cut in the middle of a body", UNUSABLE, replies.cut_json()),
    document(
        "`Content-Length` too long",
        UNUSABLE,
        sent(DOCUMENT, content_length=len(DOCUMENT) + 10, end=End.close),
    ),
    document(
        "`Content-Length` too short", UNUSABLE, sent(DOCUMENT, content_length=len(DOCUMENT) - 10)
    ),
    alike("`Content-Length` below zero", UNUSABLE, raw(b"Content-Length: -5", DOCUMENT)),
    alike("two unlike `Content-Length`", UNUSABLE, raw(NOBODY_ASKED, DOCUMENT)),
    alike("`Content-Length` and chunks", UNUSABLE, raw(BOTH_FRAMINGS, b"5\r\nhello\r\n0\r\n\r\n")),
    document("ends with its connection", GOOD, sent(DOCUMENT, framing=Framing.close)),
    document(
        "ends with its connection, too early", UNUSABLE, sent(DOCUMENT[:-9], framing=Framing.close)
    ),
    document("bad chunk size", UNUSABLE, chunked(b"zz")),
    document("chunk size below zero", UNUSABLE, chunked(b"-5")),
    document("gzip", GOOD, packed("gzip", gzip.compress(DOCUMENT, mtime=0))),
    document("deflate", GOOD, packed("deflate", zlib.compress(DOCUMENT))),
    document("br, which was not asked for", UNUSABLE, packed("br", b"\x0b\x02\x80abc\x03")),
    document("gzip, cut", UNUSABLE, packed("gzip", gzip.compress(DOCUMENT, mtime=0)[:-12])),
    document("gzip by name only", UNUSABLE, packed("gzip", DOCUMENT)),
    document("a gzip bomb", UNUSABLE, packed("gzip", gzip.compress(b" " * BOMB_BYTES, 1, mtime=0))),
    alike("200 with a web page", UNUSABLE, replies.html_200()),
    alike("200 with broken JSON", UNUSABLE, replies.broken_json()),
    alike("200 with a list", UNUSABLE, json_reply([])),
    alike("200 with an `error` object", UNUSABLE, json_reply({"error": {"message": "busy"}})),
    alike("200 of another shape", UNUSABLE, replies.wrong_schema()),
    alike("200 without a body", UNUSABLE, replies.empty_200()),
    alike("204", UNUSABLE, Reply(status=204)),
    alike("JSON that is not UTF-8", UNUSABLE, sent(NOT_JSON_TEXT)),
    document("JSON 100,000 levels deep", UNUSABLE, sent(DEEP)),
    document("a stream that nobody asked for", UNUSABLE, replies.ok_stream()),
    document("no usage", UNMETERED, json_reply(chat_document(usage=None))),
    document("usage below zero", UNMETERED, json_reply(chat_document(usage={"prompt_tokens": -9}))),
    alike("not HTTP", UNUSABLE, replies.not_http()),
    alike("128 KiB of headers", UNUSABLE, replies.huge_headers()),
    alike("interim answers without end", UNUSABLE, sized(DOCUMENT, HINTS * 5000)),
    alike("an interim answer first (103)", GOOD, sized(DOCUMENT, HINTS)),
    alike(
        "another protocol (101)",
        UNUSABLE,
        Reply(raw_head=UPGRADE, framing=Framing.close, end=End.close),
    ),
    document("a body without end", UNUSABLE, replies.endless_body()),
)
