"""Rows of the fault matrix: streams that break, lie, or are only unusual.

Run by test_upstream_rows.py, printed by tests/docs_tables.py.
"""

import gzip
import zlib
from dataclasses import replace

from tests import fault_replies as replies
from tests.fault_replies import DONE, End, Framing, Reply, chat_events, chunk, frame, ok_stream
from tests.faults.row import Seen, streamed
from tests.faults.rows_bodies import UNUSABLE
from tests.faults.rows_status import GOOD

SSE = (("Content-Type", "text/event-stream"),)
FRAMES = [frame(event) for event in chat_events()]
WHOLE = b"".join(FRAMES)
CHUNKED_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
IN_LINES = b"data: {\ndata: " + FRAMES[1][7:-3] + b"\ndata: }\n\n"
GARBAGE = b"data: {no\n\n"
SMILE = "\U0001f600".encode()
BROKEN_CHARACTER = frame(chunk({"content": "\U0001f600"})).partition(SMILE)[0] + SMILE[:2]
STREAM_ERROR = {"error": {"message": "Busy.", "type": "server_error", "code": "overloaded"}}
LARGEST = 10_485_760


def broken_off(code: str, outcome: str, usage: str = "unknown") -> Seen:
    """Name what a failure comes to after the first event: told, not hidden, not kept."""
    client = f"a part of the answer, then APIError `{code}`"
    return Seen(client, 1, f"{outcome}, usage {usage}", is_rescued=False)


CUT = broken_off("upstream_stream_cut", "truncated")
UNENDED = broken_off("upstream_stream_cut", "truncated", "provider")
GARBLED = broken_off("upstream_event_unreadable", "upstream_error")
UNMETERED = replace(GOOD, recorded="ok, usage unknown")
HUGE = Seen(f"{LARGEST:,} characters", 1, "ok, usage provider", is_rescued=False)


def cut_after(*events: bytes) -> Reply:
    return ok_stream(events, is_terminated=False, end=End.close)


def written(chunks: bytes) -> Reply:
    """Make a stream of two good chunks and then these very bytes."""
    good = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in FRAMES[:2])
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return Reply(raw_head=head + good + chunks, framing=Framing.close, end=End.close)


def packed(name: str, body: bytes) -> Reply:
    return Reply(headers=(*SSE, ("Content-Encoding", name)), pieces=(body,))


def endless(piece: bytes) -> Reply:
    return Reply(headers=SSE, pieces=(piece,), framing=Framing.chunked, is_endless=True)


BROKEN_STREAM_ROWS = (
    streamed("cut before the first event", UNUSABLE, replies.cut_stream(0)),
    streamed("cut between two events", CUT, replies.cut_stream(2)),
    streamed("reset between two events", CUT, replies.cut_stream(2, end=End.reset)),
    streamed("cut in the middle of an event", CUT, cut_after(*FRAMES[:2], FRAMES[2][:30])),
    streamed("cut in the middle of a chunk", CUT, written(b"40\r\nabc")),
    streamed("bad chunk size", CUT, written(b"zz\r\nabc\r\n0\r\n\r\n")),
    streamed("cut inside a UTF-8 character", CUT, cut_after(*FRAMES[:2], BROKEN_CHARACTER)),
    streamed(
        "ends in order inside a UTF-8 character", CUT, ok_stream([*FRAMES[:2], BROKEN_CHARACTER])
    ),
    streamed("cut before `[DONE]`", UNENDED, replies.cut_stream(5)),
    streamed("ends in order without `[DONE]`", UNENDED, replies.stream_without_done()),
    streamed(
        "ends with its connection, too early", CUT, ok_stream(FRAMES[:3], framing=Framing.close)
    ),
    streamed(
        "`Content-Length` too short",
        CUT,
        Reply(headers=SSE, pieces=(WHOLE,), content_length=len(WHOLE) - 30),
    ),
    streamed("gzip, cut", CUT, packed("gzip", gzip.compress(WHOLE, mtime=0)[:-30])),
    streamed("br, which was not asked for", UNUSABLE, packed("br", b"\x0b\x02\x80abc\x03")),
    streamed("an error before content", UNUSABLE, replies.stream_with_error(0)),
    streamed(
        "an error after content",
        broken_off("overloaded", "upstream_error"),
        ok_stream([*FRAMES[:2], 0.1, STREAM_ERROR]),
    ),
    streamed("an empty stream", UNUSABLE, ok_stream([])),
    streamed("`[DONE]` alone", UNUSABLE, ok_stream([DONE])),
    streamed("an event that is not JSON, at first", UNUSABLE, ok_stream([GARBAGE, *FRAMES])),
    streamed(
        "an event that is not JSON",
        GARBLED,
        ok_stream([*FRAMES[:2], 0.1, GARBAGE, *FRAMES[2:]]),
    ),
    streamed(
        "one event of 18 MB",
        broken_off("upstream_event_too_large", "upstream_error"),
        ok_stream([*FRAMES[:2], 0.1, b"data: " + b"x" * 18_000_000 + b"\n\n"]),
    ),
    streamed("an event without end", UNUSABLE, endless(b"x" * 65_536)),
    streamed("comments without end", UNUSABLE, endless(b": x\n\n" * 10_000)),
)

UNUSUAL_STREAM_ROWS = (
    streamed("one event of 10 MB", HUGE, ok_stream(chat_events(["x" * LARGEST]))),
    streamed("lines end with CRLF", GOOD, ok_stream(line_end="\r\n")),
    streamed("lines end with CR", GOOD, ok_stream(line_end="\r")),
    streamed(
        "an event of several data lines",
        GOOD,
        ok_stream([FRAMES[0], IN_LINES, *FRAMES[2:]]),
    ),
    streamed("comments", GOOD, ok_stream([b": one\n\n", FRAMES[0], b": two\n\n", *FRAMES[1:]])),
    streamed(
        "`event:`, `id:` and `retry:` fields",
        GOOD,
        ok_stream([b"event: chunk\nid: 5\nretry: 10\n" + piece for piece in FRAMES]),
    ),
    streamed("no space after `data:`", GOOD, ok_stream([b"data:" + piece[6:] for piece in FRAMES])),
    streamed("a byte order mark first", GOOD, ok_stream([b"\xef\xbb\xbf", *FRAMES])),
    streamed("lines that are no fields", GOOD, ok_stream([FRAMES[0], b"hello\n\n", *FRAMES[1:]])),
    streamed("single bytes", GOOD, ok_stream(piece_bytes=1)),
    streamed("`error: null` in a chunk", GOOD, ok_stream([chunk({}, error=None), *FRAMES])),
    streamed("`[DONE]` without its empty line", GOOD, ok_stream([*FRAMES[:-1], b"data: [DONE]"])),
    streamed("cut after `[DONE]`", GOOD, cut_after(*FRAMES)),
    streamed("events after `[DONE]`", GOOD, ok_stream([*FRAMES, FRAMES[1]])),
    streamed("ends with its connection", GOOD, ok_stream(framing=Framing.close)),
    streamed(
        "`Content-Length` too long, cut",
        GOOD,
        Reply(headers=SSE, pieces=(WHOLE,), content_length=len(WHOLE) + 9, end=End.close),
    ),
    streamed("gzip", GOOD, packed("gzip", gzip.compress(WHOLE, mtime=0))),
    streamed("deflate", GOOD, packed("deflate", zlib.compress(WHOLE))),
    streamed(
        "`Text/Event-Stream` in other letters",
        GOOD,
        Reply(headers=(("Content-Type", "Text/Event-Stream"),), pieces=(WHOLE,)),
    ),
    streamed("a document in place of a stream", GOOD, replies.ok_json()),
    streamed("no usage", UNMETERED, ok_stream(chat_events(has_usage=False))),
)
