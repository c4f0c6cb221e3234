"""What a log line looks like: readable one-liners, or JSON as cloud log collectors read it.

main.py calls `configure_logging` once, before a role starts; every module logs by its own name.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

# These speak at INFO about every request, query or migration step; ours say what matters.
QUIET_LOGGERS = ("aiohttp.access", "alembic", "asyncio", "sqlalchemy")
# These repeat every failed attempt at length; the caller gets it as an exception and says it once.
SILENT_LOGGERS = ("clickhouse_connect", "urllib3")

# A message may quote what a client sent: it must not be able to fake a line of its own.
_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def configure_logging(log_format: Literal["text", "json"], role: str) -> None:
    """Send everything from INFO up to stderr; calling it again replaces what it set before."""
    formatter = JsonFormatter(role) if log_format == "json" else TextFormatter(role)
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(formatter)
    root = logging.getLogger()
    for previous in list(root.handlers):
        root.removeHandler(previous)
    root.addHandler(output)
    root.setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


class TextFormatter(logging.Formatter):
    """`14:03:07 WARNING proxy ledger.shipper: message`, with a traceback below if there is one."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        message = record.getMessage().translate(_CONTROL_CHARACTERS)
        line = f"{moment} {record.levelname:<7} {self._role} {record.name}: {message}"
        trace = _format_trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `severity`, `time`, `message` and `stack_trace` are GCP's names.

    What a caller passes as `extra={"fields": {...}}` stands beside them, and never replaces them.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "message": record.getMessage(),
            "logger": record.name,
            "role": self._role,
            "pid": record.process,
        }
        fields: dict[str, object] = getattr(record, "fields", {})
        entry = {**fields, **entry}
        trace = _format_trace(self, record)
        if trace:
            entry["stack_trace"] = trace
        return json.dumps(entry)


def _format_trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
