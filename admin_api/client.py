"""A client of the admin API for Python and for the command line: typed answers, careful retries.

    api = AdminApi("127.0.0.1", 8081, token)
    tenant = api.call("POST", "/admin/v1/tenants", Tenant, body=NewTenant(name="acme"))
    for key in api.pages("/admin/v1/tenants/acme/keys", Key): ...

Plain http.client: no event loop, and one connection a call. A POST is sent under an Idempotency-Key
of its own, so that repeating it after a lost answer makes nothing twice.
"""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from config.errors import ConfigError

TIMEOUT_S = 60.0
MOST_TRIES = 4
LONGEST_WAIT_S = 10.0
_BY_ITSELF = {"GET", "PUT", "DELETE"}  # repeating these changes nothing more
Answer = TypeVar("Answer", bound=BaseModel)


class AdminApiError(ConfigError):
    """A refusal in the API's own words; `status` 0: it did not answer."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class AdminApi:
    """Calls of one control process. Every method raises AdminApiError."""

    def __init__(
        self, host: str, port: int, token: str, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._host = host
        self._port = port
        self._token = token
        self._sleep = sleep

    def call(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        version: int | None = None,
    ) -> Answer:
        """The answer as its model; `version` is the one that was seen, for If-Match."""
        sent = None if body is None else body.model_dump(mode="json", exclude_unset=True)
        document = self.ask(method, path, query=query, body=sent, version=version)
        try:
            return answer.model_validate(document)
        except ValidationError as error:
            raise _odd_answer(path, str(error)) from error

    def pages(
        self, path: str, item: type[Answer], query: Mapping[str, Any] | None = None
    ) -> Iterator[Answer]:
        """Every item of a list, a page in memory at a time."""
        for document in self.documents(path, query):
            yield item.model_validate(document)

    def documents(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """As `pages`, as JSON."""
        asked = dict(query or {})
        while True:
            page = self.ask("GET", path, query=asked)
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            asked["cursor"] = page["next_cursor"]

    def lines(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The documents of an answer that comes as lines of JSON, one in memory at a time."""
        connection, reply = self._send("GET", _with_query(path, query), None, {})
        try:
            if reply.status >= 400:
                raise _refusal(reply.status, reply.read())
            for line in reply:
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from error
        finally:
            connection.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        version: int | None = None,
    ) -> Any:
        """The answer as JSON, None for an empty one."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        may_repeat = method in _BY_ITSELF or method == "POST" or version is not None
        sent = None if body is None else json.dumps(body)
        for left in range(MOST_TRIES if may_repeat else 1, 0, -1):
            status, wait_s, data = self._try(method, _with_query(path, query), sent, headers)
            if status != 503 or left == 1:
                break
            self._sleep(min(wait_s, LONGEST_WAIT_S))
        if status >= 400:
            raise _refusal(status, data)
        return json.loads(data) if data.strip() else None

    def _try(
        self, method: str, target: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, float, bytes]:
        """(status, seconds to wait before another try, body)."""
        connection, reply = self._send(method, target, body, headers)
        try:
            after = reply.headers.get("Retry-After", "")
            return reply.status, float(after) if after.isdigit() else 1.0, reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        finally:
            connection.close()

    def _send(
        self, method: str, target: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        known = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            known["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body=body, headers={**known, **headers})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> AdminApiError:
        message = f"the admin API at {self._host}:{self._port} does not answer: {error}"
        hint = "the control process may be starting again: try once more, then see its log"
        return AdminApiError(0, "no_answer", message, hint)


def _with_query(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _refusal(status: int, data: bytes) -> AdminApiError:
    try:
        problem = json.loads(data)
        return AdminApiError(status, problem["code"], problem["detail"], problem["hint"])
    except (ValueError, KeyError, TypeError):
        hint = "something else than the admin API answers there"
        return AdminApiError(status, "refused", f"it answered {status}", hint)


def _odd_answer(path: str, what: str) -> AdminApiError:
    hint = "client and gateway are of different versions"
    return AdminApiError(0, "odd_answer", f"the answer of {path} has another form: {what}", hint)
