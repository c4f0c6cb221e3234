"""The verbs that list and change what the admin API keeps: tenants, projects, keys and so on.

They ask the running gateway. What a resource is called, and where, is a table; fields are sent as
they are given, and the API says which it knows.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from admin_api.client import AdminApi
from config.errors import ConfigError
from config.settings import Settings
from roles.admin_client import find_api
from roles.tables import align

MOST_SHOWN = 60  # characters of a cell


@dataclass(frozen=True, slots=True)
class Resource:
    """A list of things; `path` may hold {tenant}. `columns` are those that people want to see."""

    path: str
    columns: tuple[str, ...]
    name: str = "name"  # the field that a new one is named by
    id: str = "name"  # the field that its path ends in
    operators_path: str = ""  # where those lie that belong to no tenant


RESOURCES: Mapping[str, Resource] = {
    "tenants": Resource(
        "/admin/v1/tenants", ("name", "tier", "time_zone", "managed_by", "archived_at")
    ),
    "projects": Resource(
        "/admin/v1/tenants/{tenant}/projects", ("name", "display_name", "managed_by", "archived_at")
    ),
    "keys": Resource(
        "/admin/v1/tenants/{tenant}/keys",
        ("key_id", "name", "project", "state", "last4", "expires_at", "last_used_at"),
        id="key_id",
    ),
    "members": Resource(
        "/admin/v1/tenants/{tenant}/members",
        ("user_id", "email", "display_name", "role"),
        name="email",
        id="user_id",
    ),
    "invitations": Resource(
        "/admin/v1/tenants/{tenant}/invitations",
        ("invitation_id", "email", "role", "expires_at"),
        name="email",
        id="invitation_id",
    ),
    "credentials": Resource(
        "/admin/v1/tenants/{tenant}/credentials",
        ("name", "provider", "host", "last4", "rotated_at"),
        operators_path="/admin/v1/credentials",
    ),
}
# Action -> method and what follows the path of one thing. Those of a whole list have no entry.
_OF_ONE = {
    "show": ("GET", ""),
    "update": ("PATCH", ""),
    "archive": ("DELETE", ""),
    "delete": ("DELETE", ""),
    "remove": ("DELETE", ""),
    "rotate": ("POST", "/rotate"),
    "revoke": ("POST", "/revoke"),
}
_WITH_BODY = ("update", "rotate")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Any verb of RESOURCES."""
    resource, api = RESOURCES[arguments.verb], find_api(settings)
    path = _path_of(resource, getattr(arguments, "tenant", None))
    if arguments.action == "list":
        items = list(api.documents(path))
        _show(items, list_rows(items, resource.columns), arguments)
        return 0
    document = _change(api, resource, path, arguments)
    _show(document, detail_rows(document or {}), arguments)
    return 0


def _change(api: AdminApi, resource: Resource, path: str, arguments: argparse.Namespace) -> Any:
    fields = read_fields(getattr(arguments, "set", None) or [])
    if arguments.action == "create":
        return api.ask("POST", path, body={resource.name: arguments.name, **fields})
    method, behind = _OF_ONE[arguments.action]
    place = f"{path}/{quote(_id_of(api, resource, path, arguments.name), safe='')}{behind}"
    body = fields if arguments.action in _WITH_BODY else None
    return api.ask(method, place, body=body, version=getattr(arguments, "version", None))


def _id_of(api: AdminApi, resource: Resource, path: str, given: str) -> str:
    """People name a thing as they called it, too; what is over comes last. The API says if none."""
    if resource.id == resource.name:
        return given
    found = [
        item for item in api.documents(path) if given in (item[resource.id], item[resource.name])
    ]
    found.sort(key=lambda item: (item[resource.id] != given, item.get("state", "") == "revoked"))
    return str(found[0][resource.id]) if found else given


def _path_of(resource: Resource, tenant: str | None) -> str:
    if "{tenant}" not in resource.path:
        return resource.path
    if tenant:
        return resource.path.replace("{tenant}", quote(tenant, safe=""))
    if resource.operators_path:
        return resource.operators_path
    raise ConfigError(
        "which tenant's?", "add --tenant NAME; python main.py tenants list shows them"
    )


def read_fields(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as fields: JSON where it is JSON, else text; @file and @- read it. ConfigError.

    Names with dots go into what they name: limits.budgets=[...].
    """
    fields: dict[str, Any] = {}
    for each in given:
        name, separator, text = each.partition("=")
        if not separator or not name:
            raise ConfigError(f"{each[:64]!r} is no field", "write --set NAME=VALUE")
        *outer, last = name.split(".")
        place = fields
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = _read_value(text)
    return fields


def _read_value(text: str) -> Any:
    if text == "@-":
        return sys.stdin.readline().rstrip("\n")
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text().rstrip("\n")
        except OSError as error:
            message = f"{text[1:]} cannot be read: {error.strerror}"
            raise ConfigError(message, "name a file, or @- for standard input") from error
    try:
        return json.loads(text)
    except ValueError:
        return text


def list_rows(items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """A table of those columns that the items have."""
    if not items:
        return ["none"]
    known = [name for name in columns if any(name in item for item in items)]
    return align([known, *([_cell(item.get(name)) for name in known] for item in items)], "left")


def detail_rows(document: Mapping[str, Any]) -> list[str]:
    """A field a line."""
    width = max((len(name) for name in document), default=0) + 2
    return [f"{name:<{width}}{_text(value)}".rstrip() for name, value in document.items()]


def _cell(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)


def _show(document: Any, lines: Sequence[str], arguments: argparse.Namespace) -> None:
    print(json.dumps(document, indent=2) if arguments.json else "\n".join(lines))
