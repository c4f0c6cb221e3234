"""All children of one supervisor, by name; keeps run/processes.json true for tools and tests."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import orjson

from config.files import write_atomically
from config.tasks import TaskOwner
from roles.child import Child, ChildSpec, Launch, OnReport, Report

_log = logging.getLogger(__name__)


class Children:
    """Starts and stops children; every report of any of them goes to `on_report`."""

    def __init__(self, launch: Launch, processes_path: Path, on_report: OnReport) -> None:
        self._launch = launch
        self._processes_path = processes_path
        self._on_report = on_report
        self._children: dict[str, Child] = {}
        self._tasks = TaskOwner()

    def find(self, name: str) -> Child | None:
        return self._children.get(name)

    def list_named(self, prefix: str) -> list[Child]:
        """The children whose names begin with `prefix`."""
        return [child for name, child in self._children.items() if name.startswith(prefix)]

    def start(self, spec: ChildSpec) -> None:
        """Start a child and keep it running."""
        child = Child(spec, self._launch, self._hear)
        self._children[spec.name] = child
        self._tasks.start(child.keep_running(), f"keep {spec.name} running")

    async def stop(self, prefix: str, timeout_s: float) -> None:
        """Stop the children whose names begin with `prefix`, all at once."""
        await asyncio.gather(*(child.stop(timeout_s) for child in self.list_named(prefix)))

    def kill_all(self) -> None:
        """End everything now: what was acknowledged is on disk already."""
        for child in self._children.values():
            child.send_signal(signal.SIGKILL)

    async def close(self) -> None:
        """Let go of the tasks once all children are stopped."""
        await self._tasks.stop()
        self._processes_path.unlink(missing_ok=True)

    def _hear(self, child: Child, report: Report) -> None:
        if report["type"] in {"started", "died"}:
            self._write_processes()
        self._on_report(child, report)

    def _write_processes(self) -> None:
        running = {name: child.pid for name, child in self._children.items() if child.pid}
        content = orjson.dumps({"supervisor": os.getpid(), **running})
        try:
            write_atomically(self._processes_path, content)
        except OSError as error:  # a full disk must not stop the restarts
            _log.warning("cannot write %s: %s", self._processes_path, error)
