"""Upstreams for the tests of the fast client: one scripted byte by byte, one that echoes, TLS."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from multidict import CIMultiDict
from yarl import URL

from proxy.connector import GuardedResolver
from proxy.upstream_client import UpstreamCall
from proxy.wire_client import WireClient

LIMIT = 1 << 20
EMPTY_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def call_to(url: str, body: bytes = b"{}", **changes: Any) -> UpstreamCall:
    parts: dict[str, Any] = {"headers": CIMultiDict(), "connect_s": 2.0, "allows_private": True}
    return UpstreamCall(url=URL(url), body=body, **parts | changes)


async def answer_of(client: WireClient, call: UpstreamCall) -> bytes:
    async with asyncio.timeout(10):
        reply = await client.send(call)
        try:
            return await reply.read(LIMIT)
        finally:
            reply.close()


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


class LeadingTo(GuardedResolver):
    """A name server that leads every name to these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: Any = None,  # noqa: ARG002 as it is called
    ) -> Any:
        return [{"hostname": host, "host": each, "port": port} for each in self._addresses]
