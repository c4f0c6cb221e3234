"""Claims a TCP port for the processes that will share it, before any of them starts.

The supervisor calls it under the home lock. A second bind with SO_REUSEPORT succeeds silently and
splits the traffic between two programs, so a taken port is looked for without that option first;
and a port that is bound but not listened on yet looks free while connections of an earlier owner
linger, so two gateways keep out of each other's way by a guard that the kernel hands out once.
"""

import errno
import socket
import sys
from pathlib import Path

from config.errors import ConfigError

TRIES = 100
LISTENING = "0A"
# Linux: a name in the network namespace, as the port is, and gone with whoever holds it.
GUARD_NAME = "\0netra-apex.port.{port}"
HAS_GUARDS = sys.platform == "linux"


class ClaimedSocket(socket.socket):
    """The socket of a claimed port; the port's guard is given back when it is closed."""

    guard: socket.socket | None = None

    def close(self) -> None:
        """Let go of the port."""
        super().close()
        if self.guard is not None:
            self.guard.close()


def claim_port(
    host: str, port: int, is_explicit: bool, setting: str = "APEX_PROXY_PORT or APEX_ADMIN_PORT"
) -> socket.socket:
    """A bound, not yet listening, shareable socket on `port`, or on the next free one.

    Port 0 lets the kernel pick. An explicit port that is taken is a ConfigError naming its owner
    where that can be known; `setting` is the variable the hint speaks of.
    """
    family = _family_of(host)
    last = port if is_explicit else min(port + TRIES - 1, 65535)
    for candidate in range(port, last + 1):
        try:
            return _bind(family, host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _explain(error, host, candidate, setting) from error
    raise _describe_taken(host, port, last, setting)


def _family_of(host: str) -> socket.AddressFamily:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(
            f"the host {host!r} cannot be resolved: {error.strerror}",
            "set APEX_HOST to an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        ) from error
    return found[0][0]


def _bind(family: socket.AddressFamily, host: str, port: int) -> ClaimedSocket:
    if port == 0:
        return _open_bound(family, (host, 0), (socket.SO_REUSEADDR, socket.SO_REUSEPORT))
    guard = _open_guard(port)
    try:
        _refuse_taken(family, host, port)
        claimed = _open_bound(family, (host, port), (socket.SO_REUSEADDR, socket.SO_REUSEPORT))
    except OSError:
        if guard is not None:
            guard.close()
        raise
    claimed.guard = guard
    return claimed


def _open_guard(port: int) -> socket.socket | None:
    """OSError EADDRINUSE while another gateway holds the port, listening or not."""
    if not HAS_GUARDS:
        return None
    guard = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        guard.bind(GUARD_NAME.format(port=port))
    except OSError:
        guard.close()
        raise
    return guard


def _refuse_taken(family: socket.AddressFamily, host: str, port: int) -> None:
    """EADDRINUSE when another socket holds the port; connections left from a last run do not."""
    try:
        _open_bound(family, (host, port), ()).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        # SO_REUSEADDR looks past lingering connections, but also past a program that claimed the
        # port and does not listen yet; only the former are in the kernel's table.
        _open_bound(family, (host, port), (socket.SO_REUSEADDR,)).close()
        if not _has_connections(port):
            raise


def _open_bound(
    family: socket.AddressFamily, address: tuple[str, int], options: tuple[int, ...]
) -> ClaimedSocket:
    opened = ClaimedSocket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            opened.setsockopt(socket.SOL_SOCKET, option, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def _explain(error: OSError, host: str, port: int, setting: str) -> ConfigError:
    if error.errno == errno.EACCES:
        return ConfigError(
            f"this user may not listen on port {port}", f"set {setting} to a port from 1024 up"
        )
    return ConfigError(
        f"cannot listen on {host}:{port}: {error.strerror}",
        "set APEX_HOST to an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    )


def _describe_taken(host: str, port: int, last: int, setting: str) -> ConfigError:
    if last > port:
        return ConfigError(
            f"no port from {port} to {last} is free on {host}", f"set {setting} to a free port"
        )
    owner = find_port_owner(port)
    by_whom = f" by {owner}" if owner else ""
    return ConfigError(
        f"port {port} on {host} is in use{by_whom}",
        f"stop that program, or set {setting} to another port; unset it moves on by itself",
    )


def find_port_owner(port: int) -> str | None:
    """ "name (pid N)" of the process that listens on `port`; None where /proc cannot tell."""
    rows = _read_sockets(port) or []
    targets = {f"socket:[{inode}]" for state, inode in rows if state == LISTENING}
    if not targets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if _holds_any(process, targets):
            return f"{_name_of(process)} (pid {process.name})"
    return None


def _has_connections(port: int) -> bool:
    """Whether connections of `port` linger; True where the system does not tell."""
    rows = _read_sockets(port)
    return rows is None or any(state != LISTENING for state, _ in rows)


def _read_sockets(port: int) -> list[tuple[str, str]] | None:
    """(state, inode) of each TCP socket whose own port is `port`, from proc_net_tcp(5)."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    rows = [line.split() for path in tables for line in path.read_text().splitlines()[1:]]
    if not tables:
        return None
    return [(row[3], row[9]) for row in rows if int(row[1].rpartition(":")[2], 16) == port]


def _holds_any(process: Path, targets: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in targets for link in process.joinpath("fd").iterdir())
    except OSError:  # gone meanwhile, or another user's
        return False


def _name_of(process: Path) -> str:
    try:
        return process.joinpath("comm").read_text().strip()
    except OSError:
        return "a process"
