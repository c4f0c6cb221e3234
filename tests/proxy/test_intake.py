"""Reading a call: B4 on bodies and headers, points 5, 20, 25 and 32 of the wire list."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ledger.price_book import load_price_book
from proxy.context import CallerWishes, RequestContext
from proxy.dialects.reading import LARGEST_COUNT
from proxy.dialects.table import DIALECTS
from proxy.errors import GatewayError, InvalidRequestError, error_response
from proxy.intake import MOST_TAGS, parse_body, parse_tags, read_body, read_wishes
from proxy.live import LiveSnapshot
from tests.proxy.samples import HELLO, live_snapshot, request_headers

MAX_BODY_BYTES = 100_000
EMBED: dict[str, Any] = {"model": "e", "input": "text"}


# --- headers


def test_without_controls_nothing_is_wished() -> None:
    assert read_wishes(request_headers()) == CallerWishes()


def test_all_controls_are_read() -> None:
    wishes = read_wishes(
        request_headers(
            ("cache-control", "max-age=60"), ("X-Apex-No-Optimize", "1"),
            ("x-apex-receipt", "true"), ("x-apex-tags", "team=search, env=prod"),
            ("X-Session-Id", "s1"), ("Idempotency-Key", "k1"), ("x-stainless-retry-count", "2"),
            ("x-stainless-read-timeout", "600.5"), ("x-apex-latency-objective-ms", "250"),
        )
    )  # fmt: skip
    assert wishes == CallerWishes(
        cache_control="max-age=60",
        is_no_optimize=True,
        wants_receipt=True,
        tags={"team": "search", "env": "prod"},
        session="s1",
        idempotency_key="k1",
        retry_count=2,
        client_timeout_s=600.5,
        latency_objective_ms=250,
    )


def test_a_second_line_of_a_header_counts_too() -> None:
    """A no-store behind a proxy's own line would otherwise be lost."""
    wishes = read_wishes(
        request_headers(
            ("Cache-Control", "max-age=60"),
            ("Cache-Control", "no-store"),
            ("x-apex-tags", "a=1"),
            ("x-apex-tags", "b=2"),
        )
    )
    assert wishes.cache_control == "max-age=60,no-store"
    assert wishes.tags == {"a": "1", "b": "2"}


@pytest.mark.parametrize("name", ["Idempotency-Key", "x-session-id", "Cache-Control"])
def test_a_control_too_long_is_refused_and_not_cut(name: str) -> None:
    """Two keys alike in their first 256 characters must never become one (B2, shared prefixes)."""
    with pytest.raises(InvalidRequestError) as caught:
        read_wishes(request_headers((name, "x" * 257)))
    assert caught.value.param == name


def test_bytes_that_are_no_text_stay_apart_and_can_be_stored() -> None:
    first, second = (
        read_wishes(request_headers(("Idempotency-Key", text), ("x-apex-tags", f"a={text}")))
        for text in ("caf\udce9", "caf\udcea")
    )
    assert first.idempotency_key != second.idempotency_key
    assert orjson.dumps([first.idempotency_key, first.tags, second.tags])


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "9" * 10, "٣", "²", "x"])
def test_what_is_no_whole_number_in_a_header_counts_as_not_sent(text: str) -> None:
    assert read_wishes(request_headers(("x-stainless-retry-count", text))).retry_count == 0


@pytest.mark.parametrize("text", ["", "0", "-5", "nan", "inf", "-inf", "1e300", "None"])
def test_a_timeout_that_is_none_counts_as_not_sent(text: str) -> None:
    headers = request_headers(("x-stainless-read-timeout", text))
    assert read_wishes(headers).client_timeout_s == 0


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        (" a = b , c=d,", {"a": "b", "c": "d"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1,a=2", {"a": "2"}),
        (",,", {}),
    ],
)
def test_tags(text: str, tags: dict[str, str]) -> None:
    assert parse_tags(text) == tags


@pytest.mark.parametrize(
    "text", ["a", "=b", " = ", "a=" + "x" * 200, ",".join(f"t{n}=1" for n in range(MOST_TAGS + 1))]
)
def test_tags_that_cannot_be_stored_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_tags(text)
    assert caught.value.param == "x-apex-tags"


@given(st.text(max_size=100))
def test_any_tags_are_bounded_or_refused(text: str) -> None:
    try:
        tags = parse_tags(text)
    except InvalidRequestError:
        return
    assert orjson.dumps(tags)
    assert all(name and len(name + value) <= 128 * 10 for name, value in tags.items())


# --- documents


@pytest.fixture(scope="module")
def live() -> LiveSnapshot:
    return live_snapshot(load_price_book())


def parsed(
    live: LiveSnapshot, body: bytes | dict[str, Any], endpoint: str = "chat"
) -> RequestContext:
    context = RequestContext("req_1", DIALECTS[endpoint], 0.0, live)
    parse_body(context, body if isinstance(body, bytes) else orjson.dumps(body))
    return context


def test_a_request_is_read_once_and_kept_whole(live: LiveSnapshot) -> None:
    doc = HELLO | {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "max_completion_tokens": 9,
        "n": 2,
        "temperature": 0,
        "novel": {"deep": [None]},
    }
    context = parsed(live, doc)
    assert (context.doc, context.body) == (doc, orjson.dumps(doc))
    assert (context.model, context.is_streaming, context.asked_usage) == ("gpt-4o", True, True)
    assert (context.max_output_tokens, context.choices_n, context.is_deterministic) == (9, 2, True)


def test_nothing_is_assumed(live: LiveSnapshot) -> None:
    context = parsed(
        live, HELLO | {"stream": None, "n": None, "max_tokens": None, "stream_options": None}
    )
    assert (context.is_streaming, context.choices_n, context.max_output_tokens) == (False, 1, 0)
    assert parsed(live, EMBED, "embeddings").is_deterministic
    assert not parsed(live, EMBED | {"stream": True}, "embeddings").is_streaming


NO_OBJECTS = (
    b"", b" ", b"{", b"[]", b"null", b'"x"', b"5", b"\xef\xbb\xbf{}", b"{'a': 1}", b'{"a": NaN}',
    b'{"a": Infinity}', b'{"a": 1e400}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": "\x00"}',
    b'{"a": 01}', b'{"a": 1,}', b"<html>", b"[" * 100_000, b'{"a":' * 100_000, b"\x1f\x8b\x08",
)  # fmt: skip


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_what_is_no_json_object_gets_a_clear_400_at_once(live: LiveSnapshot, body: bytes) -> None:
    """B4: within 50 ms, whatever it is."""
    began = time.process_time()
    with pytest.raises(InvalidRequestError) as caught:
        parsed(live, body)
    assert time.process_time() - began < 0.05
    assert orjson.dumps(caught.value.document())


WRONG: dict[str, tuple[Any, ...]] = {
    "model": (None, "", 5, [], {}, True),
    "messages": (None, [], {}, "hi", 5),
    "stream": ("true", 1, 0, [], {}),
    "stream_options": ([], "x", 5, True),
    **dict.fromkeys(
        ("n", "max_tokens", "max_completion_tokens"),
        (0, -1, 1.5, "5", True, [], {}, 2**31, 2**63),
    ),
    **dict.fromkeys(("api_base", "base_url", "api_key", "custom_llm_provider"), ("x", None)),
}
WRONG_MESSAGES: tuple[tuple[Any, ...], ...] = ((None,), ("hi",), ({},), ({"role": 5},), ([],))


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        *[({name: value}, name) for name, values in WRONG.items() for value in values],
        *[({"messages": list(messages)}, "messages[0]") for messages in WRONG_MESSAGES],
        ({"messages": [{"role": "user"}, {"content": "x"}]}, "messages[1]"),
    ],
)
def test_wrong_types_name_their_field(
    live: LiveSnapshot, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parsed(live, orjson.dumps(HELLO | changes))
    assert caught.value.param == param
    assert caught.value.message.count(".") >= 2, "it says how to mend it"


def test_numbers_beyond_64_bits_are_refused_where_they_count(live: LiveSnapshot) -> None:
    """They would not fit the usage log, and one bad row would hold up all others."""
    body = orjson.dumps(HELLO)[:-1] + b',"max_tokens":' + b"9" * 400 + b"}"
    with pytest.raises(InvalidRequestError):
        parsed(live, body)
    assert parsed(live, HELLO | {"max_tokens": LARGEST_COUNT}).max_output_tokens == LARGEST_COUNT


@pytest.mark.parametrize(
    "name", ["metadata", "user", "prompt_cache_key", "stream_options", "safety_identifier"]
)
def test_extras_nested_too_deeply_are_refused_before_any_call(
    live: LiveSnapshot, name: str
) -> None:
    """They are not hashed, and would fail only when the body is written again."""
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    with pytest.raises(InvalidRequestError) as caught:
        parsed(live, orjson.dumps(HELLO)[:-1] + b',"' + name.encode() + b'":' + deep + b"}")
    assert caught.value.param == name


@pytest.mark.parametrize("element", [b"[],", b"{},", b'{"a":1},', b'["a"],'])
def test_a_body_that_would_grow_out_of_bounds_is_refused_before_it_is_parsed(
    live: LiveSnapshot, element: bytes
) -> None:
    """50 MiB of empty lists take 1.5 GB and eight seconds: one caller would stop all others."""
    body = b'{"x":[' + element * 1_100_000 + b"0]}"
    began = time.process_time()
    with pytest.raises(InvalidRequestError, match="too many"):
        parsed(live, body)
    assert time.process_time() - began < 0.5


def test_large_prompts_are_no_attack(live: LiveSnapshot) -> None:
    text = "data:image/png;base64," + "A" * 20_000_000 + "{[," * 100_000
    context = parsed(live, HELLO | {"messages": [{"role": "user", "content": text}]})
    assert len(context.body) > 20_000_000
    tokens = {"model": "e", "input": [[number % 7 for number in range(300_000)]]}
    assert parsed(live, tokens, "embeddings").model == "e"


@pytest.mark.parametrize("value", [None, "", [], {}, 5, True])
def test_embeddings_need_an_input(live: LiveSnapshot, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parsed(live, EMBED | {"input": value}, "embeddings")
    assert caught.value.param == "input"


@pytest.mark.parametrize("value", ["a", ["a", "b"], [1, 2], [[1], [2]]])
def test_every_form_of_input_passes(live: LiveSnapshot, value: Any) -> None:
    parsed(live, EMBED | {"input": value, "encoding_format": "base64"}, "embeddings")


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "stream",
        "stream_options",
        "max_tokens",
        "n",
        "tools",
        "temperature",
        "seed",
        "store",
        "user",
        "metadata",
        "web_search_options",
    ]
)


@given(st.dictionaries(FIELDS, ANY_JSON), st.sampled_from(["chat", "embeddings"]), st.booleans())
def test_no_document_causes_anything_but_a_400(
    doc: dict[str, Any], endpoint: str, has_basics: bool
) -> None:
    whole = HELLO | EMBED | doc if has_basics else doc
    context = RequestContext("req_1", DIALECTS[endpoint], 0.0, live=None)  # type: ignore[arg-type]
    try:
        body = orjson.dumps(whole)
    except TypeError:
        return  # a number orjson does not write
    try:
        parse_body(context, body)
    except InvalidRequestError:
        return
    assert isinstance(context.model, str)
    assert isinstance(context.is_streaming, bool)
    assert 1 <= context.choices_n <= LARGEST_COUNT


# --- bodies


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that reads bodies as the proxy does and says how many bytes came."""

    async def read(request: web.Request) -> web.Response:
        try:
            return web.Response(text=str(len(await read_body(request, MAX_BODY_BYTES))))
        except GatewayError as error:
            return error_response(error, {})

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/", read)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def sent(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """Send raw bytes after the request line; returns status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
    writer.close()
    return int(head.split()[1]), body


async def test_a_body_is_read_however_it_comes(port: int) -> None:
    assert await sent(port, b"Content-Length: 5\r\n\r\nhello") == (200, b"5")
    assert await sent(port, b"Content-Length: 5\r\n\r\n", b"he", b"llo") == (200, b"5")
    chunked = (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nhe\r\n", b"3\r\nllo\r\n", b"0\r\n\r\n")
    assert await sent(port, *chunked) == (200, b"5")
    assert await sent(port, b"Content-Length: 0\r\n\r\n") == (200, b"0")


async def test_a_body_over_the_cap_is_refused_before_it_is_sent(port: int) -> None:
    status, body = await sent(port, b"Content-Length: 60000000\r\n\r\n")
    assert status == 413
    assert orjson.loads(body)["error"]["code"] == "request_too_large"


async def test_a_body_that_hides_its_size_is_stopped_at_the_cap(port: int) -> None:
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    status, body = await sent(port, b"Transfer-Encoding: chunked\r\n\r\n", piece, piece)
    assert status == 413
    assert "max_body_bytes" in orjson.loads(body)["error"]["message"]


async def test_a_packed_body_is_unpacked_within_the_cap(port: int) -> None:
    """B4: a compressed body may not become a bomb."""
    for size, expected in ((90_000, 200), (50_000_000, 413)):
        packed = gzip.compress(b" " * size)
        head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        assert (await sent(port, head + packed))[0] == expected


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_a_body_that_is_not_packed_as_it_says_is_a_400(port: int, encoding: bytes) -> None:
    head = b"Content-Encoding: " + encoding + b"\r\nContent-Length: 20\r\n\r\n"
    status, body = await sent(port, head, b"this is not packed!!")
    assert status == 400
    assert orjson.loads(body)["error"]["type"] == "invalid_request_error"
