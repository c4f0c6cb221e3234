"""Usage events, a small price book and a log to write to: what the ledger's tests are made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.clock import Clock
from ledger.book_shelf import BookShelf
from ledger.events import AttemptEnd, AttemptStart, Outcome
from ledger.price_book import write_price_book
from ledger.segment_log import SegmentWriter
from ledger.shipper import Shipper, ShipperOptions
from ledger.sink import EventSink
from storage.columnar import Columnar

AT_US = 1_795_400_000_000_000  # 2026-11-23
HOUR_US = 3_600_000_000
LARGE, SMALL, DISPUTED = "large-1", "small-1", "odd-1"
LADDER, SPEECH = "ladder-1", "whisper-1"


def make_start(request_id: str = "r1", attempt: int = 1, **changes: Any) -> AttemptStart:
    values: dict[str, Any] = {
        "tenant": "acme", "key_id": "k1", "at_us": AT_US, "endpoint": "chat",
        "requested_model": LARGE, "upstream": "mock", "upstream_kind": "mock",
        "upstream_host": "", "upstream_model": LARGE, "baseline_upstream": "mock",
        "baseline_upstream_kind": "mock", "baseline_host": "", "baseline_model": LARGE,
        "cache": "miss", **changes,
    }  # fmt: skip
    return AttemptStart(request_id=request_id, attempt=attempt, **values)


def make_end(request_id: str = "r1", attempt: int = 1, **changes: Any) -> AttemptEnd:
    values: dict[str, Any] = {
        "tenant": "acme", "key_id": "k1", "at_us": AT_US, "endpoint": "chat",
        "requested_model": LARGE, "served_model": LARGE, "upstream": "mock",
        "upstream_kind": "mock", "upstream_host": "", "upstream_model": LARGE,
        "baseline_upstream": "mock", "baseline_upstream_kind": "mock", "baseline_host": "",
        "baseline_model": LARGE, "cache": "miss", "outcome": Outcome.ok, "is_final": True,
        "upstream_status": 200, "client_status": 200, "usage_source": "provider",
        "input_tokens": 100, "output_tokens": 10, **changes,
    }  # fmt: skip
    return AttemptEnd(request_id=request_id, attempt=attempt, **values)


def make_pair(request_id: str, **changes: Any) -> list[AttemptStart | AttemptEnd]:
    """A request of one attempt; changes that only an END has go to the END alone."""
    of_start = {name: value for name, value in changes.items() if hasattr(make_start(), name)}
    return [make_start(request_id, **of_start), make_end(request_id, **changes)]


def make_books(directory: Path) -> tuple[BookShelf, str]:
    """large-1: 3 and 15 USD per million tokens; small-1: 1 and 2; odd-1: 2 and 2, disputed.

    ladder-1 is large-1 with a band above 1000 tokens and one for flex, of a few pico-USD.
    """

    def entry(price_in: int, price_out: int, state: str) -> dict[str, Any]:
        price = {"input": price_in * 10**6, "output": price_out * 10**6}
        return {"mode": "chat", "bands": [{"tier": "standard", "state": state, "price": price}]}

    def unit(picousd: int) -> dict[str, Any]:
        return {"picousd": picousd, "state": "agreed"}

    ladder = entry(3, 15, "agreed")
    ladder["bands"] += [
        {**ladder["bands"][0], "above_input_tokens": 1000, "price": {"input": 6, "output": 30}},
        {**ladder["bands"][0], "tier": "flex", "price": {"input": 1, "output": 7}},
    ]
    models: dict[str, Any] = {
        LARGE: entry(3, 15, "agreed"),
        LADDER: ladder,
        SPEECH: {"bands": [], "units": {"audio_input_ms": unit(100_000)}},
        "*": {"bands": [], "units": {"web_search_calls": unit(10**10)}},
        SMALL: entry(1, 2, "agreed"),
        DISPUTED: entry(2, 2, "disputed"),
    }
    document = {"header": {"schema": 1}, "providers": {"openai": models}}
    return BookShelf(directory), write_price_book(document, directory)


class Ledger:
    """A home with one writer, its sink and a shipper into the given store."""

    def __init__(self, home: Path, columnar: Columnar, max_bytes: int = 1 << 24) -> None:
        self.home = home
        self.segments_dir = home / "segments"
        self.columnar = columnar
        self.clock = Clock()
        self.books, self.book_hash = make_books(home / "price-books")
        self.writer = self.open_writer("proxy-0-aa", max_bytes)
        self.shipper = self.make_shipper()

    def open_writer(self, writer_id: str, max_bytes: int = 1 << 24) -> SegmentWriter:
        return SegmentWriter(self.segments_dir, writer_id, max_bytes=max_bytes)

    def make_shipper(self, **options: Any) -> Shipper:
        chosen = ShipperOptions(**{"interval_s": 0.01, **options})
        return Shipper(self.segments_dir, self.columnar, self.books, self.clock, options=chosen)

    def write(
        self, events: Sequence[AttemptStart | AttemptEnd], writer: SegmentWriter | None = None
    ) -> None:
        sink = EventSink(writer or self.writer, self.clock)
        for event in events:
            if not event.price_book:
                event.price_book = self.book_hash
            if isinstance(event, AttemptStart):
                sink.start(event)
            else:
                sink.end(event)

    async def stored(self, columns: str = "event_id") -> list[dict[str, Any]]:
        return await self.columnar.query(
            f"SELECT {columns} FROM usage_events FINAL ORDER BY event_id"  # noqa: S608 - our own text
        )

    async def count_stored(self) -> int:
        return len(await self.stored())
