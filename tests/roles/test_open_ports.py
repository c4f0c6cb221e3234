"""Claimed ports: shared by the proxies, kept while children come and go, announced."""

import os
import socket
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.home import read_discovery
from config.settings import Settings, load_settings
from roles.listening import describe_address, is_answering, open_lone_proxy_socket
from roles.open_ports import OpenPorts, announced

ANY = {"APEX_PROXY_PORT": "0", "APEX_ADMIN_PORT": "0"}


def make_settings(home: Path, **changes: str) -> Settings:
    return load_settings({"APEX_HOME": str(home), **ANY, **changes})


def test_all_proxies_share_one_port_and_nobody_else_gets_it(tmp_path: Path) -> None:
    ports = OpenPorts.open(make_settings(tmp_path / "home", APEX_WORKERS="3"))
    try:
        assert len({opened.getsockname() for opened in ports.proxies}) == 1
        port = str(ports.proxies[0].getsockname()[1])
        taken = make_settings(tmp_path / "other", APEX_PROXY_PORT=port)
        with pytest.raises(ConfigError, match=port):
            open_lone_proxy_socket(taken)
        # Nobody serves yet: a client waits instead of being refused.
        with socket.create_connection(("127.0.0.1", int(port)), timeout=5):
            pass
    finally:
        ports.close()


def test_a_port_that_is_taken_gives_the_others_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = make_settings(tmp_path, APEX_ADMIN_PORT=str(taken.getsockname()[1]))
        with pytest.raises(ConfigError, match="APEX_ADMIN_PORT"):
            OpenPorts.open(settings)


def test_discovery_is_written_and_withdrawn(tmp_path: Path) -> None:
    ports = OpenPorts.open(make_settings(tmp_path / "home"))
    directory = tmp_path / ".service_discovery"
    ports.announce("proxy")
    ports.announce("mock")
    assert set(read_discovery(directory)) == {"proxy", "mock"}
    assert read_discovery(directory)["proxy"]["url"] == ports.proxy_url
    ports.withdraw()
    ports.close()
    assert read_discovery(directory) == {}


def test_beside_a_living_announcement_a_lone_role_makes_none(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "home")
    directory = tmp_path / ".service_discovery"
    with socket.create_server(("127.0.0.1", 0)) as opened, announced(settings, "proxy", opened):
        assert read_discovery(directory)["proxy"]["port"] == opened.getsockname()[1]
    assert read_discovery(directory) == {}
    directory.joinpath("proxy.json").write_text(f'{{"pid": {os.getppid()}}}')
    with socket.create_server(("127.0.0.1", 0)) as opened, announced(settings, "proxy", opened):
        assert read_discovery(directory)["proxy"] == {"pid": os.getppid()}
    assert read_discovery(directory)["proxy"] == {"pid": os.getppid()}


async def test_a_socket_on_every_address_is_shown_as_one_to_use() -> None:
    with socket.create_server(("0.0.0.0", 0)) as opened:  # noqa: S104  what is tested
        assert describe_address(opened)[2].startswith("http://127.0.0.1:")
        assert not await is_answering(opened, 0.05)
