"""A PostgreSQL cluster of our own, and a database in it for each test.

The fixture `postgresql` (tests/sql_engines.py) has one a session; tests that stop it start another.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

from tests.servers import Server, WithBlock, find_binary, pick_port

PACKAGE = "postgresql"
USER = "apex"
# Debian keeps the programs of each version apart; the newest first.
DIRECTORIES = tuple(
    str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
)
# Nothing here has to survive a power cut.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


class PostgreSQL(WithBlock):
    """initdb in a temporary directory, then `postgres` on a port of 127.0.0.1; a with block."""

    def __init__(self) -> None:
        self._binaries = Path(find_binary("initdb", PACKAGE, DIRECTORIES)).parent
        self._user = _unprivileged_user()
        # Not below pytest's directory: nobody but its owner may enter that one.
        self._directory = Path(tempfile.mkdtemp(prefix="apex-postgresql-"))
        self._port = pick_port()
        self.server = self._describe_server()

    def open(self) -> None:
        self._make_cluster()
        self.start()

    def start(self) -> None:
        """Start it, again where it was stopped or killed: on the same port, with its data."""
        self.server.start(self._is_up)

    def close(self) -> None:
        """Stop it and remove everything."""
        self.server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str) -> str:
        """What APEX_SQL_URL takes."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self._port}/{database}"

    def make_database(self, template: str = "template1") -> str:
        """A database of its own, its URL; a copy of `template`, which nobody may be using."""
        name = f"test_{uuid4().hex}"
        self._ask("createdb", f"--template={template}", name)
        return self.url(name)

    def run_sql(self, database: str, statement: str) -> str:
        """What psql prints of a statement's rows: for what a test does behind our back."""
        return self._ask(
            "psql", "--no-psqlrc", "--tuples-only", "--no-align",
            f"--dbname={database}", f"--command={statement}",
        )  # fmt: skip

    def _describe_server(self) -> Server:
        data = self._directory / "data"
        options = [f"port={self._port}", "listen_addresses=127.0.0.1", *OPTIONS]
        options.append(f"unix_socket_directories={self._directory}")
        command = [str(self._binaries / "postgres"), "-D", str(data)]
        command += [word for option in options for word in ("-c", option)]
        return Server(
            PACKAGE,
            command,
            self._directory / "log",
            user=self._user,
            stop_signal=signal.SIGINT,  # its fast shutdown: open connections are closed
        )

    def _make_cluster(self) -> None:
        owner = pwd.getpwnam(self._user)
        if os.geteuid() == 0:
            os.chown(self._directory, owner.pw_uid, owner.pw_gid)
        words = [str(self._binaries / "initdb"), "--auth=trust", "--no-sync", "--no-locale"]
        words += ["--encoding=UTF8", f"--username={USER}", "-D", str(self._directory / "data")]
        is_root = os.geteuid() == 0
        done = subprocess.run(
            words,
            cwd=self._directory,
            user=owner.pw_uid if is_root else None,
            group=owner.pw_gid if is_root else None,
            extra_groups=[] if is_root else None,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"

    def _is_up(self) -> bool:
        words = [str(self._binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    def _ask(self, program: str, *words: str) -> str:
        place = ["-h", "127.0.0.1", "-p", str(self._port), "-U", USER]
        done = subprocess.run(
            [str(self._binaries / program), *place, *words],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{program} failed: {done.stderr}"
        return done.stdout.strip()


def _unprivileged_user() -> str:
    """The server refuses to run as root: Debian's package makes a user for it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
