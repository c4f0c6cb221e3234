"""The fast client on real sockets: its pool, TLS, back-pressure, cancellation at every point."""

import asyncio
import datetime
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp.resolver import ThreadedResolver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream_client import BrokenFault, UnreachableFault, UpstreamCall, UpstreamFault
from proxy.wire_client import WireClient, request_bytes
from proxy.wire_exchange import MOST_BUFFERED_BYTES
from tests import fault_replies as replies
from tests.fault_replies import End, Framing, Reply
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until

LIMIT = 1 << 20
ONE_READ_BYTES = 1 << 18  # the most a loop reads at once
EMPTY_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
on_both_loops = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
async def client() -> AsyncIterator[WireClient]:
    made = WireClient()
    yield made
    await made.close()


def call_to(url: str, body: bytes = b"{}", **changes: Any) -> UpstreamCall:
    parts = {"headers": CIMultiDict(), "connect_s": 2.0, "allows_private": True} | changes
    return UpstreamCall(url=URL(url), body=body, **parts)


async def answer_of(client: WireClient, call: UpstreamCall) -> bytes:
    async with asyncio.timeout(10):
        reply = await client.send(call)
        try:
            return await reply.read(LIMIT)
        finally:
            reply.close()


# --- the pool


@pytest.mark.parametrize(
    "reply",
    [
        replies.ok_json(),
        replies.ok_stream(),
        replies.http_error(429),
        Reply(status=204, raw_head=b"HTTP/1.1 204 No Content\r\n\r\n"),
        Reply(raw_head=b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY_OK),
        Reply(pieces=(bytes(1 << 19),)),
    ],
)
async def test_a_whole_answer_gives_its_connection_back(client: WireClient, reply: Reply) -> None:
    async with FaultUpstream(fallback=reply) as upstream:
        for _ in range(3):
            await answer_of(client, call_to(upstream.url))
            assert client.idle_connections == 1
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        replies.not_http(),
        replies.cut_json(),
        replies.cut_stream(),
        replies.huge_headers(),
        replies.close_without_answer(),
        replies.reset(),
        Reply(pieces=(b"whole",), framing=Framing.close),
        Reply(pieces=(b"whole",), headers=(("Connection", "close"),)),
        Reply(raw_head=EMPTY_OK * 2),
        Reply(raw_head=EMPTY_OK + b"HTTP/1."),
        Reply(raw_head=EMPTY_OK + b"junk"),
        Reply(raw_head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Reply(raw_head=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ],
)
async def test_no_other_answer_does(client: WireClient, reply: Reply) -> None:
    """Nor does anything of it reach the next exchange."""
    async with FaultUpstream() as upstream:
        upstream.script(reply)
        with suppress(UpstreamFault):
            assert await answer_of(client, call_to(upstream.url)) in {b"whole", b"ok"}
        assert client.idle_connections == 0
        assert b"scripted" in await answer_of(client, call_to(upstream.url))
        assert upstream.connections == 2


async def test_an_answer_larger_than_allowed_costs_its_connection(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        upstream.script(Reply(pieces=(bytes(LIMIT),), content_length=LIMIT * 2, end=End.silence))
        reply = await client.send(call_to(upstream.url))
        with pytest.raises(BrokenFault, match="larger than 1000"):
            await reply.read(1000)
        reply.close()
        await upstream.wait_for_leaving()
        assert client.idle_connections == 0


async def test_connections_are_shared_only_by_calls_of_one_origin(client: WireClient) -> None:
    async with FaultUpstream() as one, FaultUpstream() as two:
        await answer_of(client, call_to(one.url))
        await answer_of(client, call_to(two.url))
        with pytest.raises(UnreachableFault, match="allow_private"):
            await client.send(call_to(one.url, allows_private=False))
        assert (one.connections, two.connections, client.idle_connections) == (1, 1, 2)


async def test_calls_at_once_have_a_connection_each(client: WireClient) -> None:
    async with FaultUpstream(fallback=replies.ok_stream(delay_s=0.01)) as upstream:
        for _ in range(2):
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(answer_of(client, call_to(upstream.url)))
        assert upstream.connections == client.idle_connections == 20
    await wait_until(lambda: all(not each.is_usable for each in _idle(client)))


def _idle(client: WireClient) -> list[Any]:
    return [each for idle in client._idle.values() for each in idle]  # noqa: SLF001 the pool


async def test_a_client_that_is_closed_keeps_nothing(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        await answer_of(client, call_to(upstream.url))
        reply = await client.send(call_to(upstream.url))
        await client.close()
        assert client.idle_connections == 0
        assert await reply.read(LIMIT)
        await answer_of(client, call_to(upstream.url))
        assert client.idle_connections == 0


class Peer:
    """An upstream whose every byte the test itself sends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.accepted: list[socket.socket] = []

    async def accept(self) -> socket.socket:
        made, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        self.accepted.append(made)
        return made

    async def answer(self, peer: socket.socket, data: bytes = EMPTY_OK) -> None:
        loop = asyncio.get_running_loop()
        assert (await loop.sock_recv(peer, 65_536)).startswith(b"POST / HTTP/1.1\r\n")
        await loop.sock_sendall(peer, data)

    def close(self) -> None:
        for each in (*self.accepted, self._listener):
            each.close()


@pytest.fixture
def peer() -> Any:
    made = Peer()
    yield made
    made.close()


@pytest.mark.parametrize(
    "extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\r\n", b""]
)
async def test_what_a_pooled_connection_said_unasked_is_not_the_next_answer(
    client: WireClient, peer: Peer, extra: bytes
) -> None:
    """Nor is one that was closed meanwhile used: the loop itself has seen neither yet."""
    async with asyncio.TaskGroup() as group:
        first = group.create_task(answer_of(client, call_to(peer.url)))
        connection = await peer.accept()
        await peer.answer(connection)
    assert (first.result(), client.idle_connections) == (b"ok", 1)
    if extra:
        connection.sendall(extra)
    else:
        connection.shutdown(socket.SHUT_WR)
    async with asyncio.TaskGroup() as group:
        second = group.create_task(answer_of(client, call_to(peer.url)))
        await peer.answer(await peer.accept())
    assert second.result() == b"ok"


async def test_a_pooled_connection_that_dies_under_a_call_is_unreachable(
    client: WireClient, peer: Peer
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(answer_of(client, call_to(peer.url)))
        connection = await peer.accept()
        await peer.answer(connection)
    call = asyncio.gather(client.send(call_to(peer.url)), return_exceptions=True)
    await asyncio.get_running_loop().sock_recv(connection, 65_536)
    connection.close()
    (fault,) = await call
    assert isinstance(fault, UnreachableFault)
    assert fault.may_have_run
    assert client.idle_connections == 0


async def test_an_answer_before_the_end_of_its_request_costs_the_connection(
    client: WireClient, peer: Peer
) -> None:
    """What is left of the request would else come before the next one."""
    async with asyncio.TaskGroup() as group:
        first = group.create_task(answer_of(client, call_to(peer.url, bytes(50_000_000))))
        await peer.answer(await peer.accept())
    assert (first.result(), client.idle_connections) == (b"ok", 0)


async def test_a_request_that_cannot_be_written_opens_nothing(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"):
            headers = CIMultiDict({"x-a": value})
            with pytest.raises(ValueError, match="header"):
                await client.send(call_to(upstream.url, headers=headers))
        assert upstream.connections == 0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/v1/x?y=%20z", "a.example"),
        ("https://a.example:443/", "a.example"),
        ("http://a.example:8080/", "a.example:8080"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_the_host_is_named_as_servers_expect(url: str, host: str) -> None:
    lines = request_bytes(URL(url), CIMultiDict({"x-a": "caf\udce9"}), b"{}").split(b"\r\n")
    assert lines[1:] == [
        f"Host: {host}".encode(),
        b"x-a: caf\xe9",
        b"Content-Length: 2",
        b"",
        b"{}",
    ]
    assert lines[0].split(b" ")[1].startswith(b"/")


# --- back-pressure and cancellation, on both kinds of transport


@on_both_loops
def test_an_endless_body_is_bounded_when_its_reader_is_slow(new_loop: NewLoop) -> None:
    """Fault row 16: counted in bytes, whatever the time."""

    async def scenario() -> None:
        client = WireClient()
        async with FaultUpstream(fallback=replies.endless_body()) as upstream:
            reply = await client.send(call_to(upstream.url))
            chunks = reply.chunks()
            for _ in range(5):
                await wait_until(lambda: reply.buffered_bytes > MOST_BUFFERED_BYTES)
                for _ in range(200):  # without a bound, each would bring more
                    await asyncio.sleep(0)
                assert reply.buffered_bytes <= MOST_BUFFERED_BYTES + ONE_READ_BYTES
                assert len(await anext(chunks)) <= MOST_BUFFERED_BYTES + ONE_READ_BYTES
            reply.close()
            await upstream.wait_for_leaving()
        await client.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@asynccontextmanager
async def echo(tls: ssl.SSLContext | None = None) -> AsyncIterator[list[int]]:
    """Answer each request with its own body, in several writes; yields [port, connections]."""
    state = [0, 0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state[1] += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(int(head.rsplit(b":", 1)[1]))
                for piece in (
                    b"HTTP/1.1 200 OK\r\nContent-",
                    b"Length: %d\r\n\r\n" % len(body),
                    body,
                ):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state[0] = server.sockets[0].getsockname()[1]
    async with server:
        yield state


@on_both_loops
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_call_cancelled_at_any_point_leaves_nothing_behind(
    new_loop: NewLoop, is_tls: bool, authority: "Authority"
) -> None:
    async def scenario() -> None:
        client = WireClient()
        async with echo(authority.server("localhost") if is_tls else None) as state:
            url = f"{'https' if is_tls else 'http'}://localhost:{state[0]}/"
            for ticks in range(60):
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(answer_of(client, call_to(url, b"%d-%d" % (ticks, each))))
                        for each in range(4)
                    ]
                    for _ in range(ticks):
                        await asyncio.sleep(0)
                    tasks[0].cancel()
                    tasks[1].cancel()
                bodies = [None if task.cancelled() else task.result() for task in tasks]
                asked = [b"%d-%d" % (ticks, each) for each in range(4)]
                assert bodies[2:] == asked[2:]
                assert all(got in {None, body} for got, body in zip(bodies, asked, strict=True))
            assert client.idle_connections <= 4
            await client.close()
        await wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.sleep(0.01))
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 numbers, no paths
        runner.run(scenario())


# --- TLS


class Authority:
    """A certificate authority of our own, and the servers it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
        self.path = folder / "authority.pem"
        own = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.path.write_bytes(own)
        self.asked_names: list[str | None] = []

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *more: Any) -> bytes:
        now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 what TLS compares with
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )
        for each in more:
            builder = builder.add_extension(each, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, host: str) -> ssl.SSLContext:
        """Return the context of a server that proves to be `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        is_address = host[0].isdigit()
        proves = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
        path = self._folder / f"{host}.pem"
        path.write_bytes(
            self._sign(name, key, x509.SubjectAlternativeName([proves]))
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = lambda _, asked, __: self.asked_names.append(asked)
        return context


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that clients trust, as they would a company's."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


class _Answering(ThreadedResolver):
    """A name server that leads every name to these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        return [{"hostname": host, "host": each, "port": port} for each in self._addresses]


@pytest.mark.parametrize("allows_private", [True, False])
async def test_tls_connections_are_checked_and_used_again(
    client: WireClient, authority: Authority, allows_private: bool
) -> None:
    """A guarded upstream is connected to by address, but greeted and checked by name."""
    client._resolver = _Answering("127.0.0.1")  # type: ignore[assignment] # noqa: SLF001
    host = "localhost" if allows_private else "api.upstream.example"
    async with echo(authority.server(host)) as state:
        for number in range(3):
            body = b"%d" % number * 70_000
            call = call_to(f"https://{host}:{state[0]}/", body, allows_private=allows_private)
            assert await answer_of(client, call) == body
        assert state[1] == client.idle_connections == 1
    assert authority.asked_names == [host]


async def test_a_certificate_for_an_address_is_accepted(
    client: WireClient, authority: Authority
) -> None:
    async with echo(authority.server("127.0.0.1")) as state:
        assert await answer_of(client, call_to(f"https://127.0.0.1:{state[0]}/", b"a")) == b"a"


@pytest.mark.parametrize("proven", ["other.example", "upstream.example.evil", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_refused(
    client: WireClient, authority: Authority, proven: str
) -> None:
    client._resolver = _Answering("127.0.0.1")  # type: ignore[assignment] # noqa: SLF001
    async with echo(authority.server(proven)) as state:
        with pytest.raises(UnreachableFault, match="SSLCertVerification") as caught:
            await client.send(
                call_to(f"https://upstream.example:{state[0]}/", allows_private=False)
            )
    assert not caught.value.may_have_run
    assert client.idle_connections == 0


async def test_an_authority_nobody_trusts_is_refused(client: WireClient, tmp_path: Path) -> None:
    async with echo(Authority(tmp_path).server("localhost")) as state:
        with pytest.raises(UnreachableFault, match="SSLCertVerification"):
            await client.send(call_to(f"https://localhost:{state[0]}/"))


async def test_a_server_without_tls_is_unreachable(client: WireClient) -> None:
    async with FaultUpstream(fallback=replies.not_http()) as upstream:
        with pytest.raises(UnreachableFault):
            await client.send(call_to(upstream.url.replace("http:", "https:")))


async def test_a_silent_handshake_ends_with_the_connection_deadline(
    client: WireClient, peer: Peer
) -> None:
    with pytest.raises(UnreachableFault, match="timeout") as caught:
        await client.send(call_to(peer.url.replace("http:", "https:"), connect_s=0.2))
    assert not caught.value.may_have_run


async def test_a_silent_address_leaves_time_for_the_next(
    client: WireClient, authority: Authority
) -> None:
    client._resolver = _Answering("127.0.0.2", "127.0.0.1")  # type: ignore[assignment] # noqa: SLF001
    async with echo(authority.server("upstream.example")) as state:
        with socket.create_server(("127.0.0.2", state[0])):  # takes up, and never greets
            url = f"https://upstream.example:{state[0]}/"
            call = call_to(url, b"a", allows_private=False, connect_s=1.0)
            assert await answer_of(client, call) == b"a"
    assert client.idle_connections == 1


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "no-such-name.invalid"])
async def test_a_name_that_leads_nowhere_is_unreachable(client: WireClient, host: str) -> None:
    for allows_private in (True, False):
        with pytest.raises(UnreachableFault) as caught:
            await client.send(call_to(f"https://{host}/", allows_private=allows_private))
        assert not caught.value.may_have_run
