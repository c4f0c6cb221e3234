"""The mock provider on its own: where it listens, and whose home it leaves alone."""

import os
import socket
from pathlib import Path

import orjson
import pytest

from config.errors import ConfigError
from config.home import HomeLock
from config.settings import load_settings
from roles import places
from roles.mock_process import open_socket, refuse_beside_gateway
from tests.gateway import clean_environment, run_verb


def test_a_port_that_was_asked_for_is_taken_or_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as raised:
            open_socket(None, port)
    assert f"port {port}" in raised.value.message
    assert "--port" in raised.value.hint
    with open_socket(None, port) as opened:
        assert opened.getsockname() == ("127.0.0.1", port)
    with open_socket("localhost", 0) as opened:
        assert opened.getsockname()[1] > 0


def test_a_host_that_is_none_is_explained() -> None:
    with pytest.raises(ConfigError) as raised:
        open_socket("203.0.113.1", 0)
    assert "--host" in raised.value.hint
    assert "APEX_HOST" not in raised.value.hint


def test_only_the_home_of_a_whole_gateway_is_refused(tmp_path: Path) -> None:
    settings = load_settings({"APEX_HOME": str(tmp_path / "home")})
    refuse_beside_gateway(settings)
    places.make_directories(settings)
    with HomeLock(settings.home):
        refuse_beside_gateway(settings)  # a verb at work, as `prepare`
        pid = os.getpid()
        places.processes_path(settings).write_bytes(orjson.dumps({"supervisor": pid}))
        with pytest.raises(ConfigError, match=f"pid {pid}") as raised:
            refuse_beside_gateway(settings)
        assert "APEX_HOME=" in raised.value.hint
    refuse_beside_gateway(settings)  # its pid file outlived it


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
async def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    code, _, err = await run_verb("mock", f"--port={port}", environ=clean_environment(tmp_path, {}))
    assert code == 2
    assert "is not a port" in err
