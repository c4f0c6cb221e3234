"""Finding the running gateway from the command line."""

import os
import socket
import threading
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.home import HomeLock, write_discovery
from config.settings import load_settings
from roles.admin_client import AdminClient, find_running

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nnot json"


def test_nothing_runs_where_nobody_holds_the_home(tmp_path: Path) -> None:
    settings = load_settings({"APEX_HOME": str(tmp_path / "home")})
    assert find_running(settings) is None
    # Left by a gateway that was killed.
    stale = {"host": "127.0.0.1", "port": 9, "pid": 1}
    write_discovery(tmp_path / ".service_discovery", "admin", stale)
    assert find_running(settings) is None


@pytest.mark.parametrize("announced", [None, {"host": "127.0.0.1", "port": 9, "pid": 1}])
def test_a_gateway_that_is_not_up_yet_is_said_to_start(
    tmp_path: Path, announced: dict[str, object] | None
) -> None:
    settings = load_settings({"APEX_HOME": str(tmp_path / "home")})
    if announced is not None:
        write_discovery(tmp_path / ".service_discovery", "admin", announced)
    with HomeLock(settings.home), pytest.raises(ConfigError) as caught:
        find_running(settings)
    assert str(os.getpid()) in caught.value.message
    assert "try again" in caught.value.hint


def test_an_admin_api_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port} does not answer"):
        AdminClient("127.0.0.1", port, "token").get("/admin/v1/usage")


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(ANSWER)

        thread = threading.Thread(target=answer)
        thread.start()
        client = AdminClient("127.0.0.1", server.getsockname()[1], "token")
        with pytest.raises(ConfigError, match="does not answer"):
            client.post("/admin/v1/cache/purge", {})
        thread.join(5)
