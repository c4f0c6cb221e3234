"""The verb `audit`: what was changed, by whom; the whole chain as lines; and whether it is whole.

`verify` asks for the chain as it is stored and computes every hash anew, here.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.settings import Settings
from policies.audit import ChainCheck
from roles.admin_client import find_api
from roles.resources import list_rows

COLUMNS = ("number", "at", "actor", "action", "subject", "why")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """1 when `verify` finds an altered entry."""
    return {"list": _list, "export": _export, "verify": _verify}[arguments.action](
        settings, arguments
    )


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    names = ("tenant", "subject", "actor")
    query = {name: getattr(arguments, name) for name in names}
    found = find_api(settings).documents("/admin/v1/audit", {**query, "action": arguments.changes})
    entries = list(islice(found, arguments.limit))
    print(
        json.dumps(entries, indent=2) if arguments.json else "\n".join(list_rows(entries, COLUMNS))
    )
    return 0


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    for entry in _read_chain(settings, arguments):
        print(json.dumps(entry, separators=(",", ":")))
    return 0


def _verify(settings: Settings, arguments: argparse.Namespace) -> int:
    """As many entries as there are, one in memory at a time."""
    check = ChainCheck(arguments.expect_hash or "")
    for entry in _read_chain(settings, arguments):
        check.add({**entry, "at": datetime.fromisoformat(entry["at"])})
        if check.fault:
            break
    fault = check.finish()
    document = {
        "is_whole": not fault, "entries": check.entries, "last_hash": check.last_hash,
        "fault": fault,
    }  # fmt: skip
    whole = f"whole: {check.entries} entries, the last hash is {check.last_hash}"
    print(json.dumps(document, indent=2) if arguments.json else fault or whole)
    return 1 if fault else 0


def _read_chain(settings: Settings, arguments: argparse.Namespace) -> Iterator[Any]:
    """From a file that was exported before, or from the running gateway. ConfigError."""
    path = getattr(arguments, "file", None)
    if path is None:
        query = {"tenant": arguments.tenant}
        yield from find_api(settings).lines("/admin/v1/audit/export", query)
        return
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        hint = "name a file that python main.py audit export wrote"
        raise ConfigError(f"{path} cannot be read: {error}", hint) from error
