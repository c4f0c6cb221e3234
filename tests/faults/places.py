"""Addresses that lead to no upstream: nobody listens, no such name, no valid TLS, no SYN-ACK.

Used by observing.py.
"""

import asyncio
import datetime
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fault_replies import refused_url


@asynccontextmanager
async def open_place(name: str) -> AsyncIterator[str]:
    """Yield the base_url of a place: refused, nameless, untrusted or blackhole."""
    if name == "refused":
        yield refused_url()
    elif name == "nameless":
        yield "http://no-such-upstream.invalid/v1"
    elif name == "untrusted":
        async with _untrusted() as url:
            yield url
    else:
        async with _blackhole() as url:
            yield url


@asynccontextmanager
async def _untrusted() -> AsyncIterator[str]:
    """A TLS server whose certificate only it believes in."""
    context = _self_signed()

    def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def _self_signed() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 certificates go by the real clock
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(key.private_bytes(pem, private, serialization.NoEncryption()))
        file.write(certificate.public_bytes(pem))
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context


@asynccontextmanager
async def _blackhole() -> AsyncIterator[str]:
    """A listener whose queue is full and never emptied: Linux drops every further SYN."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers: list[socket.socket] = []
        try:
            while True:
                filler = socket.socket()
                filler.setblocking(False)
                fillers.append(filler)
                async with asyncio.timeout(0.2):
                    await loop.sock_connect(filler, address)
        except TimeoutError:
            yield f"http://127.0.0.1:{address[1]}/v1"
        finally:
            for filler in fillers:
                with suppress(OSError):
                    filler.close()
