"""The verbs that show or do one thing: usage, requests, conservation, purge.

They ask the running gateway, which alone may open the embedded stores; when nothing runs they
take the home lock and open the stores themselves (roles/offline.py).
"""

import argparse
import importlib
import json
from types import ModuleType
from typing import Any
from urllib.parse import quote

from config.errors import ConfigError
from config.log import configure_logging
from config.settings import Settings
from roles.admin_client import find_running
from roles.tables import format_request, format_usage


def run_usage(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `usage`."""
    asked = {
        "group_by": arguments.group_by,
        "from": arguments.from_,
        "to": arguments.to,
        "tenant": arguments.tenant,
    }
    query = {name: value for name, value in asked.items() if value is not None}
    running = find_running(settings)
    if running is not None:
        usage = running.get("/admin/v1/usage", query)
    else:
        usage = _import_offline(settings).ask_usage(settings, query)
    _show(usage, format_usage(arguments.group_by, usage), arguments)
    return 0


def run_request(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `requests`."""
    request_id = arguments.request_id
    running = find_running(settings)
    if running is not None:
        detail = running.get(f"/admin/v1/requests/{quote(request_id, safe='')}")
    else:
        detail = _import_offline(settings).ask_request(settings, request_id)
    _show(detail, format_request(detail), arguments)
    return 0


def run_conservation(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `conservation`; 1 when something does not add up."""
    running = find_running(settings)
    if running is not None:
        report = running.get("/admin/v1/conservation")
    else:
        report = _import_offline(settings).ask_conservation(settings)
    _show(report, report["rows"], arguments)
    return 0 if report["is_exact"] else 1


def run_purge(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `purge`; there is no cache where nothing runs, since it lives in the proxies."""
    running = find_running(settings)
    if running is None:
        raise ConfigError(
            f"no gateway runs on {settings.home}, so there is no cache to empty",
            "the exact cache lives in the proxy processes and ends with them",
        )
    document = {"tenant": arguments.tenant} if arguments.tenant else {}
    purged = running.post("/admin/v1/cache/purge", document)
    answered, connected = purged["proxies"], purged["proxies_connected"]
    print(f"removed {purged['removed']:,} answers from {answered} of {connected} proxies")
    return 0 if answered == connected else 1


def _import_offline(settings: Settings) -> ModuleType:
    """Only now: the engines take longer to import than a running gateway takes to answer."""
    configure_logging(settings.log_format, "report")
    return importlib.import_module("roles.offline")


def _show(document: Any, lines: list[str], arguments: argparse.Namespace) -> None:
    print(json.dumps(document, indent=2) if arguments.json else "\n".join(lines))
