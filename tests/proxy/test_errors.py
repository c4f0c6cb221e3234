"""The shape of every error: points 1, 2 and 10 of the wire list, read by the official client."""

import httpx2
import openai
import orjson
import pytest

from proxy.errors import GatewayError, InvalidRequestError, error_document, error_response

CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


@pytest.mark.parametrize(("status", "kind"), CLASSES.items())
def test_the_official_client_reads_all_four_fields(
    status: int, kind: type[openai.APIStatusError]
) -> None:
    error = GatewayError(status, "some_code", "What.", "How.", param="model")
    reply = error_response(error, {"x-apex-request-id": "req_1"})
    assert isinstance(reply.body, bytes)
    body, headers = reply.body, dict(reply.headers)
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(status, content=body, headers=headers)
    )
    client = openai.OpenAI(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport)
    )
    with pytest.raises(kind) as caught:
        client.models.list()
    raised = caught.value
    assert (raised.code, raised.param) == ("some_code", "model")
    assert raised.type
    assert "What. How." in raised.message
    assert raised.response.headers["x-apex-request-id"] == "req_1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "invalid_request_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (504, "server_error"),
    ],
)
def test_types_follow_the_status(status: int, kind: str) -> None:
    document = GatewayError(status, "c", "m").document()["error"]
    assert isinstance(document, dict)
    assert document["type"] == kind
    assert document["message"] == "m"


def test_the_reply_is_json_and_carries_its_headers() -> None:
    error = GatewayError(429, "c", "m", headers={"Retry-After": "1"})
    reply = error_response(error, {"x-apex-request-id": "r"})
    assert reply.content_type == "application/json"
    assert (reply.headers["Retry-After"], reply.headers["x-apex-request-id"]) == ("1", "r")
    assert orjson.loads(reply.body) == error_document("m", "rate_limit_error", None, "c")  # type: ignore[arg-type]


def test_an_error_does_not_share_its_headers() -> None:
    headers = {"Retry-After": "1"}
    error = GatewayError(429, "c", "m", headers=headers)
    error.headers["x"] = "y"
    assert headers == {"Retry-After": "1"}


def test_a_wrong_document_is_a_400_with_a_hint() -> None:
    error = InvalidRequestError("Wrong.", "Do so.", param="n")
    assert (error.status, error.code, error.message) == (400, "invalid_request", "Wrong. Do so.")
