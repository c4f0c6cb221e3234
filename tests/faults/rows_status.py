"""Rows of the fault matrix: upstreams that answer with a status, or cannot be reached, or wait.

Run by test_upstream_rows.py, printed by tests/docs_tables.py.
"""

from config.operator import Timeouts
from tests import fault_replies as replies
from tests.fault_replies import End, Reply, http_error, ok_stream
from tests.faults.row import HASTY, Row, Seen, alike, streamed

HTML = (("Content-Type", "text/html"),)
JSON = (("Content-Type", "application/json"),)
STUBBORN = "3 x upstream_error, usage none"
GOOD = Seen("the answer", 1, "ok, usage provider", is_rescued=False, is_kept=True)
UNREACHABLE = "502 InternalServerError `upstream_unreachable`, x-should-retry: false"
SHORT_CONNECT = Timeouts(connect_s=0.2, first_token_s=30, idle_s=30, total_s=60)
EAGER_COMMENTS = Timeouts(
    connect_s=5, first_token_s=30, idle_s=30, total_s=60, stream_headers_s=0.05
)


def tried_thrice(client: str) -> Seen:
    """Name what a failure comes to that further tries did not cure."""
    return Seen(f"{client}, x-should-retry: false", 3, STUBBORN)


def refused(client: str) -> Seen:
    """Name what the caller's own mistake comes to: nobody else is asked."""
    return Seen(client, 1, "upstream_rejected, usage none", is_rescued=False)


def limited(retry_after: str) -> Seen:
    """Name what a wait too long for us comes to: the caller is told of it at once."""
    client = f"429 RateLimitError no code, retry-after: {retry_after}"
    return Seen(client, 1, "upstream_error, usage none")


OUR_KEY = Seen(
    "502 InternalServerError `upstream_credentials_rejected`, x-should-retry: false",
    1,
    "upstream_error, usage none",
)
LOST = Seen(UNREACHABLE, 3, "3 x upstream_unreachable, usage unknown")
NEVER_SENT = Seen(UNREACHABLE, 0, "3 x upstream_unreachable, usage none")
LATE = Seen("504 InternalServerError `upstream_timeout`", 1, "upstream_timeout, usage unknown")
# A document may take all the time there is, so none is left for a second upstream.
TOO_LATE = Seen(LATE.client, 1, LATE.recorded, is_rescued=False)
MOVED = Seen("502 InternalServerError `upstream_unusable_answer`", 1, "upstream_error, usage none")
FAR_DATE = "Fri, 31 Dec 2100 23:59:59 GMT"

STATUS_ROWS = (
    alike("429 without Retry-After", tried_thrice("429 RateLimitError no code"), http_error(429)),
    alike(
        "429, Retry-After: 1",
        tried_thrice("429 RateLimitError no code, retry-after: 1"),
        http_error(429, retry_after="1"),
    ),
    alike("429, Retry-After a date", limited(FAR_DATE), http_error(429, retry_after=FAR_DATE)),
    alike("429, Retry-After over 120 s", limited("300"), http_error(429, retry_after="300")),
    alike("500", tried_thrice("500 InternalServerError no code"), http_error(500)),
    alike("502", tried_thrice("502 InternalServerError no code"), http_error(502)),
    alike(
        "503 with a web page",
        tried_thrice("503 InternalServerError `upstream_error`"),
        Reply(status=503, headers=HTML, pieces=(b"<html><h1>503</h1></html>",)),
    ),
    alike("529 overloaded", tried_thrice("529 InternalServerError no code"), http_error(529)),
    alike("408", tried_thrice("408 APIStatusError no code"), http_error(408)),
    alike("400", refused("400 BadRequestError `invalid_value`"), replies.bad_request()),
    alike(
        "400 of a content filter",
        refused("400 BadRequestError `content_filter`"),
        replies.content_filtered(),
    ),
    alike(
        "400 with a web page",
        refused("400 BadRequestError `upstream_error`"),
        Reply(status=400, headers=HTML, pieces=(b"<html>no</html>",)),
    ),
    alike("401: our key is bad", OUR_KEY, http_error(401, code="invalid_api_key")),
    alike("403: our key may not", OUR_KEY, http_error(403)),
    alike(
        "404: it has no such model",
        Seen("404 NotFoundError `model_not_found`", 1, "upstream_rejected, usage none"),
        http_error(404, code="model_not_found"),
    ),
    alike("409", refused("409 ConflictError no code"), http_error(409)),
    alike("413", refused("413 APIStatusError no code"), http_error(413)),
    alike("422", refused("422 UnprocessableEntityError no code"), http_error(422)),
    alike("redirect (307)", MOVED, replies.redirect("http://127.0.0.1:1/v1")),
    alike("304", MOVED, Reply(status=304)),
)

CONNECTION_ROWS = (
    alike("connection refused", NEVER_SENT, place="refused"),
    alike("its name does not resolve", NEVER_SENT, place="nameless"),
    alike("its certificate is nobody's", NEVER_SENT, place="untrusted"),
    alike("SYN into a black hole", NEVER_SENT, place="blackhole", timeouts=SHORT_CONNECT),
    alike("closed after the request, no answer", LOST, replies.close_without_answer()),
    alike("reset after the request", LOST, replies.reset()),
    Row("accepted, then silence", TOO_LATE, LATE, replies.silence(), timeouts=HASTY),
    Row(
        "headers, then silence",
        TOO_LATE,
        None,
        Reply(headers=JSON, content_length=100, end=End.silence),
        timeouts=HASTY,
    ),
    streamed("headers, then silence", LATE, replies.silent_stream(0), HASTY),
    streamed(
        "comments, then silence",
        LATE,
        ok_stream([b": thinking\n\n", 0.1, b": more\n\n"], end=End.silence, is_terminated=False),
        HASTY,
    ),
    streamed(
        "a first token long after headers were due",
        GOOD,
        ok_stream([0.4, *replies.chat_events()]),
        EAGER_COMMENTS,
    ),
    Row(
        "stalls in the middle of a body",
        TOO_LATE,
        None,
        Reply(headers=JSON, pieces=(b'{"id":',), content_length=100, end=End.silence),
        timeouts=HASTY,
    ),
    streamed(
        "stalls in the middle of a stream",
        Seen(
            "a part of the answer, then APIError `upstream_stream_stalled`",
            1,
            "upstream_timeout, usage unknown",
            is_rescued=False,
        ),
        replies.silent_stream(2),
        HASTY,
    ),
)
