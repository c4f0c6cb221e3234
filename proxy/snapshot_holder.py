"""Which snapshot a proxy serves from: replaced from disk, without what was revoked, closed in time.

Made by role.py. Whatever changes, a request under way keeps the one it began with.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from config.clock import Clock
from config.secrets import KeyRing
from ledger.price_book import PriceBook, load_price_book
from policies.revocations import FILE_NAME as REVOCATIONS_FILE
from policies.revocations import read_revocations
from policies.snapshot import Snapshot, read_snapshot_file
from policies.snapshot_age import SNAPSHOT_FILE
from policies.snapshot_signing import read_pin
from proxy.freshness import DEFAULT_MAX_STALE_S, Freshness, age_on_disk
from proxy.live import LiveSnapshot


class SnapshotHolder:
    """Holds the live snapshot, replaces it from disk, and takes keys out that were revoked.

    Whose signature is good is read once: who exchanges that file does not reach a running proxy.
    """

    def __init__(
        self,
        home: Path,
        key_ring: KeyRing,
        clock: Clock,
        max_stale_s: float = DEFAULT_MAX_STALE_S,
    ) -> None:
        self._home = home
        self._path = home / SNAPSHOT_FILE
        self._seen_ns = 0
        self._key_ring = key_ring
        self._trusted = read_pin(home, key_ring)
        self._revoked = frozenset(read_revocations(home / REVOCATIONS_FILE, key_ring))
        self.clock = clock
        self.epoch = ""
        self.freshness = Freshness(clock, max_stale_s, age_on_disk(home, clock))
        self._whole = self._read(None)
        self.live = self._build(is_closed=self.freshness.is_over)

    def refresh(self) -> bool:
        """Take the snapshot on disk if it is newer; raises ConfigError and keeps the old one."""
        fresh = self.read_newer()
        return fresh is not None and self.take(fresh)

    def read_newer(self) -> "Whole | None":
        """Read what is on disk, unless it was read before; may run on a thread. ConfigError."""
        if self._written_ns() == self._seen_ns != 0:
            return None
        whole = self._read(self._whole.book)
        LiveSnapshot(whole.snapshot, whole.book, self._key_ring)  # all its doors can be opened
        return whole

    def take(self, fresh: "Whole") -> bool:
        """Serve from it; False, and the one in hand stays, when it is no newer."""
        if fresh.snapshot.number <= self._whole.snapshot.number:
            return False
        self._whole = fresh
        self.live = self._build(is_closed=self.live.is_closed)
        return True

    def look_at_disk(self) -> None:
        """Take in what is noted there, should a message have been missed. ConfigError."""
        self.freshness.note_age(age_on_disk(self._home, self.clock))
        self.look_at_time()
        self.revoke(read_revocations(self._home / REVOCATIONS_FILE, self._key_ring))

    def revoke(self, key_ids: Iterable[str]) -> None:
        """From now on nobody gets in with these keys, whatever a snapshot says."""
        revoked = self._revoked.union(key_ids)
        if revoked != self._revoked:
            self._revoked = revoked
            self.live = self._build(is_closed=self.live.is_closed)

    def confirm(self, number: int) -> bool:
        """The control plane vouches for a snapshot: False when this one has not got it."""
        if number != self._whole.snapshot.number:
            return False
        self.freshness.confirm()
        self.look_at_time()
        return True

    def look_at_time(self) -> None:
        """Do what is due: close or open again, and let expired keys go."""
        if self.freshness.is_over != self.live.is_closed:
            self.live = self._build(is_closed=self.freshness.is_over)
        self.live.forget_expired(self.clock.now())

    def _build(self, *, is_closed: bool) -> LiveSnapshot:
        whole = self._whole
        return LiveSnapshot(
            whole.snapshot, whole.book, self._key_ring, self._revoked, is_closed=is_closed
        )

    def _read(self, book: PriceBook | None) -> "Whole":
        self._seen_ns = self._written_ns()
        snapshot = read_snapshot_file(self._path, self._key_ring, self._trusted)
        if book is None or book.hash != snapshot.price_book:
            book = load_price_book(self._home / "price-books" / f"{snapshot.price_book}.json")
        return Whole(snapshot, book)

    def _written_ns(self) -> int:
        """Return when the file was written; 0 when there is none."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


class Whole(NamedTuple):
    """What is on disk: a snapshot with every key it was built with, and its price book."""

    snapshot: Snapshot
    book: PriceBook
