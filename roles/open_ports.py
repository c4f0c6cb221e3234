"""The ports of one running gateway, claimed by the supervisor and announced in discovery files."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.home import remove_discovery, write_discovery
from config.ports import claim_port
from config.settings import Settings
from roles import listening, places


@dataclass(slots=True)
class OpenPorts:
    """Sockets stay open here for as long as the gateway runs, whoever of the children is away."""

    discovery: Path
    proxies: list[socket.socket]
    admin: socket.socket
    mock: socket.socket
    _announced: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, settings: Settings) -> "OpenPorts":
        """Claim every port; ConfigError when a port that was asked for is taken."""
        proxies = listening.open_proxy_sockets(settings)
        try:
            admin = listening.open_admin_socket(settings)
            # Bound even where no mock runs: its address is part of the snapshot.
            mock = claim_port(listening.MOCK_HOST, listening.MOCK_PORT, is_explicit=False)
        except BaseException:
            listening.close_all(proxies)
            raise
        return cls(places.discovery_directory(settings), proxies, admin, mock)

    @property
    def proxy_url(self) -> str:
        return listening.describe_address(self.proxies[0])[2]

    @property
    def admin_url(self) -> str:
        return listening.describe_address(self.admin)[2]

    @property
    def mock_url(self) -> str:
        return listening.describe_address(self.mock)[2]

    def open_mock(self) -> socket.socket:
        """The mock's socket, listening from now on."""
        self.mock.listen(listening.BACKLOG)
        return self.mock

    def announce(self, name: str) -> None:
        """Write .service_discovery/{proxy,admin,mock}.json, unless another's is there."""
        opened = {"proxy": self.proxies[0], "admin": self.admin, "mock": self.mock}[name]
        if write_discovery(self.discovery, name, _describe(opened)):
            self._announced.add(name)

    def withdraw(self) -> None:
        """Remove the discovery files."""
        for name in self._announced:
            remove_discovery(self.discovery, name)

    def close_proxies(self) -> None:
        """New clients are refused as soon as the proxies stop accepting too."""
        listening.close_all(self.proxies)

    def close(self) -> None:
        listening.close_all([*self.proxies, self.admin, self.mock])


@contextmanager
def announced(settings: Settings, name: str, opened: socket.socket) -> Iterator[None]:
    """Keep the discovery file of a role that runs on its own, for as long as the block lasts.

    Of several lone proxies of one home, or beside a whole gateway, the first is the one announced.
    """
    directory = places.discovery_directory(settings)
    is_ours = write_discovery(directory, name, _describe(opened))
    try:
        yield
    finally:
        if is_ours:
            remove_discovery(directory, name)


def _describe(opened: socket.socket) -> dict[str, str | int]:
    host, port, url = listening.describe_address(opened)
    # Under a supervisor the pid is its own: the one that stays when a child is started again.
    return {"host": host, "port": port, "url": url, "pid": os.getpid()}
