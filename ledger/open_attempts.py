"""Which attempts without an END may still get one: the recent ones of writers that live.

Used by ledger.usage and ledger.conservation; every other START without END is unknown for good.
"""

from dataclasses import dataclass
from pathlib import Path

from config.clock import Clock
from ledger.segment_reader import list_segments

# Longer than the longest total timeout, which is never scaled: after it no attempt is under way.
OPEN_FOR_US = 11 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """An attempt can be open only if it began at or after `since_us` at one of `writers`."""

    since_us: int
    writers: tuple[str, ...]

    def has(self, writer: str, at_us: int) -> bool:
        return at_us >= self.since_us and writer in self.writers


def load_open_window(segments_dir: Path, clock: Clock) -> OpenWindow:
    """Looks at the writers' locks as they are now."""
    writers = {s.path.parent.name for s in list_segments(segments_dir) if s.is_writer_alive}
    return OpenWindow(clock.now_us() - int(OPEN_FOR_US * clock.scale), tuple(sorted(writers)))
