"""The sockets of several proxies on one port: each gives the port back when it is closed."""

import socket
from pathlib import Path

from config.settings import load_settings
from roles.listening import close_all, open_proxy_sockets


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def leave_a_connection_lingering(server: socket.socket) -> None:
    """As a proxy does that ends first: its side of the connection keeps the port for a minute."""
    with socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        accepted.close()
        assert client.recv(1) == b""


def test_the_port_is_free_again_whichever_socket_served_the_last_connections(
    tmp_path: Path,
) -> None:
    environ = {
        "APEX_HOME": str(tmp_path / "home"), "APEX_WORKERS": "2",
        "APEX_PROXY_PORT": str(free_port()),
    }  # fmt: skip
    settings = load_settings(environ)
    for kept in range(2):
        sockets = open_proxy_sockets(settings)
        sockets[1 - kept].close()  # so that the kernel gives the connection to the other one
        leave_a_connection_lingering(sockets[kept])
        close_all(sockets)
    close_all(open_proxy_sockets(settings))
