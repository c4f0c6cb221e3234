"""The replies a FaultUpstream is scripted with, and ready-made ones for every usual failure."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from itertools import repeat
from typing import Any

import orjson

DONE = "[DONE]"
ANSWER = "Scripted answer."
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
ENVELOPE: dict[str, Any] = {"id": "chatcmpl-scripted", "created": 1_700_000_000, "model": "gpt-4o"}

Headers = tuple[tuple[str, str], ...]


class Framing(StrEnum):
    """How the caller learns where the body ends."""

    length = "length"
    chunked = "chunked"
    close = "close"


class End(StrEnum):
    """What happens to the connection after the last byte."""

    keep = "keep"
    close = "close"
    reset = "reset"
    silence = "silence"  # stays open, says nothing more


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted reply. In `pieces` a float is a pause in seconds; each bytes is one write.

    `cut_at_byte` counts raw bytes from the status line on; `piece_bytes` cuts the body into writes
    of that size, so that 1 tries every boundary; `content_length` lets the header lie.
    """

    status: int = 200
    headers: Headers = ()
    pieces: tuple[bytes | float, ...] = ()
    framing: Framing = Framing.length
    end: End = End.keep
    delay_s: float = 0.0
    cut_at_byte: int | None = None
    piece_bytes: int | None = None
    content_length: int | None = None
    raw_head: bytes | None = None
    is_headless: bool = False
    is_endless: bool = False  # the pieces are repeated until the caller leaves
    is_terminated: bool = True  # a chunked body has its last chunk
    is_on_accept: bool = False  # carried out at the next new connection, before any request

    def head(self) -> bytes:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Scripted"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.framing is Framing.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.framing is Framing.length:
            total = sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))
            given = self.content_length
            lines.append(f"Content-Length: {total if given is None else given}")
        if self.framing is Framing.close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def split_pieces(self) -> Iterator[bytes | float]:
        rounds = repeat(self.pieces) if self.is_endless else (self.pieces,)
        for pieces in rounds:
            for piece in pieces:
                if isinstance(piece, float) or not self.piece_bytes:
                    yield piece
                else:
                    step = self.piece_bytes
                    yield from (piece[at : at + step] for at in range(0, len(piece), step))


def json_reply(document: object, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(
        status=status,
        headers=(("Content-Type", "application/json"), *headers),
        pieces=(orjson.dumps(document),),
    )


def chat_document(content: str = ANSWER, **fields: Any) -> dict[str, Any]:
    """Make a chat completion; `fields` replace or add top-level ones."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    base = {"object": "chat.completion", "choices": [choice], "usage": USAGE}
    return {**ENVELOPE, **base, **fields}


def ok_json(document: object | None = None, headers: Headers = ()) -> Reply:
    return json_reply(chat_document() if document is None else document, 200, headers)


def embedding_document(vectors: Sequence[Sequence[float]] = ((0.25, -0.5),)) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": list(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None, **fields: Any) -> Any:
    """Make one chat.completion.chunk with a single choice."""
    choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish_reason}
    return {**ENVELOPE, "object": "chat.completion.chunk", "choices": [choice], **fields}


def chat_events(
    words: Sequence[str] = ("Scripted ", "answer."),
    *,
    has_usage: bool = True,
    has_done: bool = True,
) -> list[Any]:
    """Make the events of a whole chat stream: role, words, finish, usage, [DONE]."""
    nulled = {"usage": None} if has_usage else {}
    events = [chunk({"role": "assistant", "content": ""}, **nulled)]
    events += [chunk({"content": word}, **nulled) for word in words]
    events.append(chunk({}, "stop", **nulled))
    if has_usage:
        events.append(chunk({}, choices=[], usage=USAGE))
    return [*events, DONE] if has_done else events


def frame(event: Any, line_end: str = "\n") -> bytes:
    """Frame one event: bytes as they are, text after `data: `, anything else as JSON after it."""
    if isinstance(event, bytes):
        return event
    data = event if isinstance(event, str) else orjson.dumps(event).decode()
    return f"data: {data}{line_end}{line_end}".encode()


def ok_stream(
    events: Sequence[Any] | None = None,
    *,
    delay_s: float = 0.0,
    line_end: str = "\n",
    headers: Headers = (),
    **fields: Any,
) -> Reply:
    """Stream events, `delay_s` before each but the first; `fields` are other fields of Reply."""
    pieces: list[bytes | float] = []
    for event in chat_events() if events is None else events:
        if pieces and delay_s:
            pieces.append(float(delay_s))
        pieces.append(event if isinstance(event, float) else frame(event, line_end))
    given = {"framing": Framing.chunked, **fields}
    content_type = ("Content-Type", "text/event-stream")
    return Reply(headers=(content_type, *headers), pieces=tuple(pieces), **given)


def http_error(
    status: int,
    *,
    retry_after: str | None = None,
    message: str = "Scripted error.",
    code: str | None = None,
    headers: Headers = (),
) -> Reply:
    """Answer with an error in OpenAI's shape."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    waits = (("Retry-After", retry_after),) if retry_after is not None else ()
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json_reply({"error": error}, status, (*waits, *headers))


def bad_request() -> Reply:
    """Answer 400: the caller's own mistake, which no retry and no other upstream mends."""
    return http_error(400, message="Scripted bad request.", code="invalid_value")


def content_filtered() -> Reply:
    return http_error(400, message="Scripted content filter.", code="content_filter")


def reset() -> Reply:
    """Read the request, then reset the connection."""
    return Reply(is_headless=True, framing=Framing.close, end=End.reset)


def close_without_answer() -> Reply:
    """Read the request, then close the connection in good order."""
    return Reply(is_headless=True, framing=Framing.close, end=End.close)


def accept_then_close() -> Reply:
    """Close the next new connection before it says anything."""
    return Reply(is_on_accept=True, end=End.close)


def accept_then_reset() -> Reply:
    return Reply(is_on_accept=True, end=End.reset)


def silence() -> Reply:
    """Read the request and never answer."""
    return Reply(is_headless=True, framing=Framing.close, end=End.silence)


def silent_stream(after_events: int = 0, events: Sequence[Any] | None = None) -> Reply:
    """Send the headers and some events, then nothing more; the connection stays open."""
    kept = list(chat_events() if events is None else events)[:after_events]
    return ok_stream(kept, end=End.silence, is_terminated=False)


def cut_stream(
    after_events: int = 2, events: Sequence[Any] | None = None, end: End = End.close
) -> Reply:
    """Break a stream off after some events, without the end of its chunked body."""
    kept = list(chat_events() if events is None else events)[:after_events]
    return ok_stream(kept, end=end, is_terminated=False)


def cut_at_byte(reply: Reply, offset: int, end: End = End.close) -> Reply:
    """Break any reply off after so many raw bytes, the status line included."""
    fields = {name: getattr(reply, name) for name in Reply.__slots__}
    return Reply(**{**fields, "cut_at_byte": offset, "end": end})


def cut_json(share: float = 0.5, document: object | None = None) -> Reply:
    """Promise a whole JSON body, send a share of it, and close."""
    body = orjson.dumps(chat_document() if document is None else document)
    return Reply(
        headers=(("Content-Type", "application/json"),),
        pieces=(body[: int(len(body) * share)],),
        content_length=len(body),
        end=End.close,
    )


def stream_without_done(events: Sequence[Any] | None = None) -> Reply:
    """End a stream in good order, as HTTP sees it, but without its [DONE]."""
    return ok_stream(chat_events(has_done=False) if events is None else events)


def stream_with_error(after_events: int = 2) -> Reply:
    """Put an error object into a stream that began with 200."""
    error = {"error": {"message": "Scripted stream error.", "type": "server_error", "code": None}}
    return ok_stream([*chat_events()[:after_events], error])


def html_200() -> Reply:
    """Answer 200 with a web page, as a captive portal or a wrong address would."""
    page = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"
    return Reply(headers=(("Content-Type", "text/html; charset=utf-8"),), pieces=(page,))


def broken_json() -> Reply:
    body = orjson.dumps(chat_document())
    return Reply(headers=(("Content-Type", "application/json"),), pieces=(body[:-20],))


def wrong_schema() -> Reply:
    return json_reply({"result": "ok", "choices": "none"})


def empty_200() -> Reply:
    return Reply(headers=(("Content-Type", "application/json"),))


def redirect(location: str) -> Reply:
    return Reply(status=307, headers=(("Location", location),))


def huge_headers(total_bytes: int = 1 << 17) -> Reply:
    return ok_json(headers=(("x-padding", "p" * total_bytes),))


def endless_body() -> Reply:
    """Send JSON whitespace without end."""
    return Reply(
        headers=(("Content-Type", "application/json"),),
        pieces=(b" " * (1 << 16),),
        framing=Framing.chunked,
        is_endless=True,
    )


def not_http() -> Reply:
    return Reply(raw_head=b"\x16\x03\x01 this is not HTTP\r\n\r\n", framing=Framing.close)


def refused_url() -> str:
    """Return a base_url on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
