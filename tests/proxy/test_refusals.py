"""What a caller gets when every attempt failed: lessons 40-42, points 1-3 of the wire list."""

import orjson
import pytest

from proxy.errors import GatewayError
from proxy.refusals import RelayedError, refusal_of
from proxy.retry import Failure, failure_of_fault, failure_of_status, timed_out, unusable
from proxy.upstream_client import UnreachableFault

ERROR = b'{"error": {"message": "theirs", "type": "t", "param": null, "code": "c"}, "novel": 1}'


def failure(status: int, body: bytes = ERROR, **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure_of_status(status, named, body, 0.0)


@pytest.mark.parametrize("status", [400, 402, 404, 409, 413, 422, 429, 451, 500, 503, 529])
def test_an_upstreams_own_error_passes_byte_for_byte_with_its_status(status: int) -> None:
    error = refusal_of(failure(status), has_retried=False)
    assert isinstance(error, RelayedError)
    reply = error.response({"x-apex-request-id": "r"})
    assert (reply.status, reply.body, reply.content_type) == (status, ERROR, "application/json")
    assert reply.headers["x-apex-request-id"] == "r"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"error": null}',
        b'{"error": 5}',
        b'{"error": []}',
        b'{"detail": "x"}',
        b'{"error": {"m": "\xff"}}',
        b'"error"',
        b"{" * 2000,
    ],
)
def test_anything_else_becomes_an_error_of_the_same_class(body: bytes) -> None:
    error = refusal_of(failure(503, body), has_retried=False)
    assert not isinstance(error, RelayedError)
    assert error.status == 503
    assert orjson.dumps(error.document())
    assert b"html" not in orjson.dumps(error.document())


@pytest.mark.parametrize("status", [401, 403])
def test_our_own_refused_credentials_are_not_the_callers_affair(status: int) -> None:
    """The caller's key is fine: a 401 would make clients throw it away."""
    error = refusal_of(failure(status, b'{"error":{"message":"bad key sk-1"}}'), has_retried=True)
    assert (error.status, error.code) == (502, "upstream_credentials_rejected")
    assert error.headers == {"x-should-retry": "false"}
    assert "sk-1" not in error.message


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (timed_out("no answer"), 504),
        (failure_of_fault(UnreachableFault("refused", may_have_run=False)), 502),
        (unusable("not JSON"), 502),
        (failure(302, b""), 502),
    ],
)
def test_no_answer_at_all_is_a_502_or_504(reason: Failure, status: int) -> None:
    error = refusal_of(reason, has_retried=False)
    assert error.status == status
    assert "Retry later." in error.message


def test_clients_are_told_not_to_multiply_our_retries() -> None:
    assert refusal_of(failure(503), has_retried=True).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in refusal_of(failure(503), has_retried=False).headers
    assert "x-should-retry" not in refusal_of(failure(400), has_retried=True).headers


def test_retry_headers_and_limits_pass_and_nothing_else() -> None:
    error = refusal_of(
        failure(
            429, retry_after="30", set_cookie="a=b", x_ratelimit_reset_requests="6m0s", server="x"
        ),
        has_retried=False,
    )
    assert error.headers == {"retry-after": "30", "x-ratelimit-reset-requests": "6m0s"}


def test_a_relayed_error_is_a_gateway_error_like_any_other() -> None:
    error = refusal_of(failure(400), has_retried=False)
    assert isinstance(error, GatewayError)
    assert error.document()["error"]
