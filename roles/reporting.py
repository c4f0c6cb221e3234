"""The child's end of its report pipe to the supervisor; used by roles/control.py."""

import logging
import os
from typing import Any

from config.bus import encode_line

_log = logging.getLogger(__name__)


class Reporter:
    """Writes reports for the supervisor; silent in a process that was started by hand."""

    def __init__(self, report_fd: int | None) -> None:
        self._fd = report_fd

    def report(self, kind: str, **facts: Any) -> None:
        """Tell the supervisor; a supervisor that is gone takes this process with it anyway."""
        if self._fd is None:
            return
        try:
            os.write(self._fd, encode_line({"type": kind, **facts}))
        except OSError as error:
            _log.warning("cannot report to the supervisor: %s", error)
