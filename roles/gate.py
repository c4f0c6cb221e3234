"""Holds the proxies back until there is a snapshot to serve from; used by the supervisor.

They are started together with the control process, so that both import at the same time. The gate
is a pipe nobody writes to: it opens for all of them, and for those started later, when the
supervisor closes its end.
"""

import os


class Gate:
    """The supervisor's end; children inherit `read_fd`."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        self._is_open = False

    def open(self) -> None:
        """Let the waiting ones pass; done again it does nothing."""
        if not self._is_open:
            self._is_open = True
            os.close(self._write_fd)

    def close(self) -> None:
        """Give the descriptors back."""
        self.open()
        os.close(self.read_fd)


def wait_at_gate(gate_fd: int | None) -> None:
    """Block until the gate is open; at once in a process that was started by hand."""
    if gate_fd is not None:
        os.read(gate_fd, 1)
        os.close(gate_fd)
