"""The mock's own bill: one JSON line per call that produced anything. Written by app.py.

It is what a provider would invoice, kept apart from the gateway's ledger so that the two can be
compared. A line is in the file before the last byte of its answer goes out.
"""

import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from config.clock import Clock
from proxy.providers.mock.buckets import BucketPrices, Charge
from proxy.providers.mock.prices import PriceTable
from proxy.providers.mock.rendering import Usage

logger = logging.getLogger(__name__)


class Bill:
    """An append-only file, kept over restarts; a line torn by a crash is dropped on opening."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        prices: PriceTable,
        bucket_prices: BucketPrices | None = None,
    ) -> None:
        self.clock = clock
        self._path = path
        self._prices = prices
        self._bucket_prices = bucket_prices or BucketPrices({})
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self._drop_torn_line()

    def __enter__(self) -> "Bill":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def _drop_torn_line(self) -> None:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            logger.warning("dropped %d bytes of a torn last line of the bill", len(data) - whole)
            os.ftruncate(self._file, whole)

    def record(self, call_id: str, model: str, usage: Usage, *, is_complete: bool) -> None:
        """Append one line; `complete` says whether the whole answer, its end included, went out."""
        line = {
            "id": call_id,
            "at_us": self.clock.now_us(),
            "model": model,
            **_buckets(usage),
            "cost_picousd": self._prices.cost_picousd(model, usage),
            "complete": is_complete,
        }
        self._append(line)

    def record_charge(self, call_id: str, charge: Charge, *, is_complete: bool) -> None:
        """Append the line of a call that is no plain chat: tiers, audio, images, units."""
        line = {
            "id": call_id,
            "at_us": self.clock.now_us(),
            "model": charge.model,
            "tier": charge.tier,
            **_buckets(Usage(0)),
            **charge.buckets.counts(),
            "cost_picousd": self._bucket_prices.cost_picousd(charge),
            "complete": is_complete,
        }
        if charge.units:
            line["units"] = charge.units
        if charge.batch_id is not None:
            line["batch"] = charge.batch_id
        self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        # One write: a crash of this process can tear no line that a reader of the file sees.
        os.write(self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def read_json(self) -> bytes:
        """Read the whole bill as one JSON array; blocks, so call it on a thread."""
        lines = self._path.read_bytes().rstrip(b"\n")
        return b"[" + lines.replace(b"\n", b",") + b"]"


def _buckets(usage: Usage) -> dict[str, Any]:
    """Name the tokens as the gateway's usage events do; no token is in two buckets."""
    return {
        "input_tokens": usage.plain_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "audio_input_tokens": usage.audio_tokens,
        "image_input_tokens": 0,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_output_tokens": 0,
        "image_output_tokens": 0,
    }
