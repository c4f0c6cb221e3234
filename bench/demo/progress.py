"""One line that shows how far a run is; on something that is no terminal, a few plain lines.

Used by replay.py. Written to standard error, so that the table on standard output stays clean.
"""

import sys
import time
from typing import TextIO

WIDTH = 28
REDRAW_S = 0.1
PLAIN_STEPS = 4


class Progress:
    """Counts what is done of `total`; `note` is shown behind the figures."""

    def __init__(self, title: str, total: int, stream: TextIO = sys.stderr) -> None:
        self._title = title
        self._total = max(1, total)
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._steps_said = 0
        self.done = 0

    def advance(self, note: str = "") -> None:
        """One more is done."""
        self.done += 1
        if self._is_terminal:
            now = time.monotonic()
            if now - self._drawn_at >= REDRAW_S or self.done == self._total:
                self._drawn_at = now
                self._stream.write(f"\r{self._line(note)}\x1b[K")
                self._stream.flush()
            return
        step = self.done * PLAIN_STEPS // self._total
        if step > self._steps_said:
            self._steps_said = step
            self._stream.write(f"{self._line(note)}\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            self._stream.write("\n")
            self._stream.flush()

    def _line(self, note: str) -> str:
        filled = WIDTH * self.done // self._total
        bar = "#" * filled + "." * (WIDTH - filled)
        elapsed_s = time.monotonic() - self._began
        figures = f"{self.done:>5,}/{self._total:,}  {elapsed_s:5.1f} s"
        return f"{self._title:<12} [{bar}] {figures}  {note}".rstrip()
