"""Which headers cross the gateway: points 4, 6-8, 27, 31 of the wire list, B4 on injection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.wire_head import WireHeaders
from proxy.wire_headers import HOP_BY_HOP, NEVER_SENT_UP, header_text, headers_down, headers_up
from tests.proxy.samples import request_headers

FIXED = {"Authorization": "Bearer sk-upstream", "Content-Type": "application/json"}


def sent_up(*pairs: tuple[str, str], is_mock: bool = False) -> dict[str, list[str]]:
    headers = headers_up(request_headers(*pairs), FIXED, "req_1.1", is_mock=is_mock)
    return {name.lower(): headers.getall(name) for name in headers}


@pytest.mark.parametrize(
    "name",
    [
        "OpenAI-Organization",
        "OpenAI-Project",
        "OpenAI-Beta",
        "anthropic-version",
        "anthropic-beta",
        "traceparent",
        "x-novel",
        "HTTP-Referer",
        "X-Title",
    ],
)
def test_what_changes_the_meaning_of_a_call_passes(name: str) -> None:
    assert sent_up((name, "v"))[name.lower()] == ["v"]


@pytest.mark.parametrize(
    "name",
    [
        *sorted(NEVER_SENT_UP),
        "x-apex-tags",
        "x-apex-no-optimize",
        "x-stainless-lang",
        "X-Forwarded-For",
        "x-stainless-read-timeout",
        "Sec-Fetch-Mode",
        "CF-Ray",
        "X-HTTP-Method-Override",
        "Range",
        "If-None-Match",
    ],
)
def test_what_is_ours_or_the_hops_stays_here(name: str) -> None:
    for spelling in (name, name.upper(), name.title()):
        sent = sent_up((spelling, "caller's"))
        assert "caller's" not in str(sent)


def test_the_callers_key_never_reaches_an_upstream() -> None:
    names = ("Authorization", "api-key", "x-api-key", "Proxy-Authorization", "Cookie")
    sent = sent_up(*[(name, "apex_secret") for name in names])
    assert sent["authorization"] == ["Bearer sk-upstream"]
    assert "apex_secret" not in str(sent)


def test_the_call_carries_our_id_and_nobody_elses() -> None:
    sent = sent_up(("X-Client-Request-Id", "theirs"), ("x-request-id", "theirs"))
    assert sent["x-client-request-id"] == ["req_1.1"]
    assert "theirs" not in str(sent)


def test_a_header_sent_twice_stays_twice() -> None:
    sent = sent_up(("OpenAI-Beta", "a"), ("openai-beta", "b"))
    assert sent["openai-beta"] == ["a", "b"]


@pytest.mark.parametrize("connection", ["X-Inner", "close, x-inner", "keep-alive ,X-INNER,te"])
def test_what_the_caller_marks_for_this_hop_stays_here(connection: str) -> None:
    sent = sent_up(("Connection", connection), ("X-Inner", "secret"), ("X-Outer", "v"))
    assert "x-inner" not in sent
    assert sent["x-outer"] == ["v"]


def test_only_the_mock_is_told_how_to_misbehave() -> None:
    assert "x-mock-delay" not in sent_up(("X-Mock-Delay", "5"))
    assert sent_up(("X-Mock-Delay", "5"), is_mock=True)["x-mock-delay"] == ["5"]


def test_the_fixed_headers_are_not_changed_by_a_call() -> None:
    before = dict(FIXED)
    sent_up(("x-novel", "v"))
    assert before == FIXED


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True), st.text(max_size=5)))
def test_no_header_replaces_ours(caller: dict[str, str]) -> None:
    sent = sent_up(*caller.items())
    assert sent["authorization"] == ["Bearer sk-upstream"]
    assert sent["content-type"] == ["application/json"]
    assert sent["x-client-request-id"] == ["req_1.1"]
    assert not HOP_BY_HOP & sent.keys()


@pytest.mark.parametrize(
    "name",
    [
        "x-request-id",
        "Retry-After",
        "retry-after-ms",
        "x-should-retry",
        "OpenAI-Processing-Ms",
        "openai-version",
        "X-RateLimit-Remaining-Tokens",
        "anthropic-ratelimit-requests-reset",
        "x-ms-region",
    ],
)
def test_what_clients_read_comes_back(name: str) -> None:
    assert headers_down({name: "6m0s"}) == {name.lower(): "6m0s"}


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie",
        "Server",
        "Via",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Content-Type",
        "Connection",
        "Location",
        "Access-Control-Allow-Origin",
        "x-apex-cost-usd",
        "Strict-Transport-Security",
        "CF-Cache-Status",
        "Alt-Svc",
        "Keep-Alive",
    ],
)
def test_what_belongs_to_the_upstream_stays_there(name: str) -> None:
    assert headers_down({name: "v"}) == {}


@pytest.mark.parametrize("value", ["a\x01b", "a\rb", "a\nb", "a\x00", "caf\udce9"])
def test_a_value_that_cannot_be_sent_is_left_out(value: str) -> None:
    assert headers_down({"x-request-id": value, "retry-after": "1"}) == {"retry-after": "1"}


NAMES = st.sampled_from([
    "X-Request-Id", "request-id", "Retry-After", "OpenAI-Version", "X-RateLimit-Limit", "x-ms-a",
    "x-should-retry", "anthropic-organization-id", "Retry-After-Date", "Set-Cookie", "x-request",
])  # fmt: skip
VALUES = st.binary(max_size=12).map(lambda value: value.translate(None, b"\r\n"))


@given(st.lists(st.tuples(NAMES, st.sampled_from([b"", b" ", b"\t "]), VALUES)))
def test_raw_lines_come_back_as_a_mapping_would(lines: list[tuple[str, bytes, bytes]]) -> None:
    raw = b"".join(b"%b:%b%b\r\n" % (name.encode(), gap, value) for name, gap, value in lines)
    headers = WireHeaders(b"\r\n" + raw)
    assert headers_down(headers) == headers_down(CIMultiDict(headers.items()))


@pytest.mark.parametrize("text", ["gpt-4o", "ft:gpt-4o:acme::1", "meta/llama 3", ""])
def test_ordinary_names_pass_into_headers(text: str) -> None:
    assert header_text(text) == text


@given(st.text(max_size=400))
def test_no_text_ends_its_header(text: str) -> None:
    """B4: a served model's name is the upstream's text."""
    safe = header_text(text)
    assert len(safe) <= 256
    assert not safe or (safe.isascii() and safe.isprintable())


def test_line_breaks_are_replaced() -> None:
    assert header_text("x\r\nSet-Cookie: a=b") == "x??Set-Cookie: a=b"
