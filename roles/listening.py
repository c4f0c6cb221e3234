"""Listening sockets and the URLs they are reached under; the supervisor and lone roles open them.

The supervisor keeps the sockets of its children open, so that connections queue while a child is
started again instead of being refused.
"""

import asyncio
import socket

from config.ports import claim_port
from config.settings import Settings

BACKLOG = 2048
MOCK_HOST = "127.0.0.1"  # the mock knows no authentication: it never leaves this machine
MOCK_PORT = 8082

_REACHABLE_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def open_proxy_sockets(settings: Settings) -> list[socket.socket]:
    """One socket per proxy process on one port; the kernel spreads connections over them."""
    first = open_lone_proxy_socket(settings)
    return [first, *(_open_sibling(first) for _ in range(settings.workers - 1))]


def open_lone_proxy_socket(settings: Settings) -> socket.socket:
    """The socket of a proxy that runs without a supervisor, listening."""
    opened = claim_port(
        settings.host, settings.proxy_port, settings.is_proxy_port_explicit, "APEX_PROXY_PORT"
    )
    opened.listen(BACKLOG)
    return opened


def open_admin_socket(settings: Settings) -> socket.socket:
    """The admin port, listening."""
    opened = claim_port(
        settings.host, settings.admin_port, settings.is_admin_port_explicit, "APEX_ADMIN_PORT"
    )
    opened.listen(BACKLOG)
    return opened


def open_mock_socket() -> socket.socket:
    """The mock provider's port on the loopback interface, listening."""
    opened = claim_port(MOCK_HOST, MOCK_PORT, is_explicit=False)
    opened.listen(BACKLOG)
    return opened


def adopt_socket(fd: int) -> socket.socket:
    """The listening socket that the supervisor opened and this process inherited."""
    adopted = socket.socket(fileno=fd)
    adopted.setblocking(False)
    return adopted


def describe_address(opened: socket.socket) -> tuple[str, int, str]:
    """(host, port, URL) a client on this machine reaches the socket under."""
    host, port = opened.getsockname()[:2]
    host = _REACHABLE_HOSTS.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return host, port, f"http://{shown}:{port}"


async def is_answering(opened: socket.socket, timeout_s: float) -> bool:
    """Whether some process behind the socket answers GET /health with 200 in time."""
    host, port, _ = describe_address(opened)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                head = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status_line


def close_all(sockets: list[socket.socket]) -> None:
    """Let go of the sockets; clients are refused once the children let go of theirs too."""
    for opened in sockets:
        opened.close()


def _open_sibling(first: socket.socket) -> socket.socket:
    sibling = socket.socket(first.family, socket.SOCK_STREAM)
    # REUSEADDR as well: what it accepted inherits it, and then does not hold the port afterwards.
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sibling.setsockopt(socket.SOL_SOCKET, option, 1)
    sibling.bind(first.getsockname())
    sibling.listen(BACKLOG)
    return sibling
