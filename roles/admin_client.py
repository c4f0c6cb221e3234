"""How the command line asks a running gateway: over its admin API, found by its discovery file.

Used by roles/reports.py. Plain http.client: a verb has to answer before it could import more.
"""

import http.client
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from config.errors import ConfigError
from config.home import find_lock_owner, read_discovery
from config.settings import Settings
from roles import places
from roles.admin_token import load_admin_token

if TYPE_CHECKING:
    from admin_api.client import AdminApi

TIMEOUT_S = 60.0


class AdminClient:
    """Calls of one running control process."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host = host
        self._port = port
        self._token = token

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The document; ConfigError with the API's own words when it refuses."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, document: Any) -> Any:
        """As `get`, sending a document."""
        return self._call("POST", path, json.dumps(document))

    def _call(self, method: str, path: str, body: str | None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body=body, headers=headers)
            reply = connection.getresponse()
            document = json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConfigError(
                f"the admin API at {self._host}:{self._port} does not answer: {error}",
                "the control process may be starting again: try once more, then see its log",
            ) from error
        finally:
            connection.close()
        if reply.status >= 400:
            raise ConfigError(document["detail"], document["hint"])
        return document


def find_running(settings: Settings) -> AdminClient | None:
    """A client of the gateway that owns this home; None when nothing runs. ConfigError."""
    place = _locate(settings)
    return None if place is None else AdminClient(*place, load_admin_token(settings))


def find_api(settings: Settings) -> "AdminApi":
    """The same with typed answers and retries, for verbs that need a gateway. ConfigError."""
    from admin_api.client import AdminApi

    place = _locate(settings)
    if place is None:
        raise ConfigError(
            f"no gateway runs on {settings.home}",
            "start one with python main.py all, or name its directory in APEX_HOME",
        )
    return AdminApi(*place, load_admin_token(settings))


def _locate(settings: Settings) -> tuple[str, int] | None:
    """Host and port of the admin API; None when nothing runs. ConfigError."""
    owner = find_lock_owner(settings.home)
    if owner is None:
        return None
    announced = read_discovery(places.discovery_directory(settings)).get("admin")
    if announced is None or announced.get("pid") != owner:
        raise ConfigError(
            f"process {owner} uses {settings.home} and has no admin API yet",
            "the gateway is starting, or another verb is at work: try again in some seconds",
        )
    return announced["host"], announced["port"]
