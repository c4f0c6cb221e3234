"""One record of unknown usage as the row of its estimate: texts, tokens, and what they would cost.

Called by ledger.estimates in a thread. It counts what was seen: the prompt, and the answer as far
as it passed; what the provider thought or wrote unseen is in no count.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from pydantic_core import from_json

from ledger.book_shelf import BookShelf
from ledger.end_rating import rate_end
from ledger.events import END, TOKEN_BUCKETS, event_id
from ledger.token_counting import TokenCounter, encoding_of
from ledger.unmetered_record import UnmeteredRecord
from ledger.unmetered_texts import Texts, answer_texts, prompt_texts, stream_texts
from ledger.usage_row import UnreadableEventError, decode_event

WRITES_NOTHING = frozenset({"embeddings", "gemini_embed", "gemini_batch_embed"})


def estimate_row(
    record: UnmeteredRecord, counter: TokenCounter, books: BookShelf
) -> dict[str, Any]:
    """The row for table usage_estimates. Raises UnreadableEventError, EncodingMissingError."""
    end = decode_event(record.end)
    if end["kind"] != END:
        message = "the event is no END"
        raise UnreadableEventError(message)
    model = end["served_model"] or end["upstream_model"]
    encoding = encoding_of(model)
    count = _Count(counter, encoding.name)
    input_tokens = count.prompt(end["endpoint"], record)
    output_tokens = 0 if end["endpoint"] in WRITES_NOTHING else count.answer(record)
    row = {
        "event_id": event_id(end["tenant"], end["request_id"], end["attempt"], END),
        **{name: end[name] for name in ("tenant", "request_id", "attempt", "at_us")},
        "model": model,
        "encoding": encoding.name,
        "is_exact_encoding": encoding.is_exact,
        "is_partial": count.is_partial,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    return row | _price(end, books, input_tokens, output_tokens)


def _price(
    end: dict[str, Any], books: BookShelf, input_tokens: int | None, output_tokens: int | None
) -> dict[str, Any]:
    """As if the provider had reported these counts; unknown when one of them is."""
    if input_tokens is None or output_tokens is None:
        return {"estimated_picousd": None, "price_state": "unknown"}
    counted = dict.fromkeys(TOKEN_BUCKETS, 0)
    counted |= {"input_tokens": input_tokens, "output_tokens": output_tokens}
    rated = rate_end(books.find(end["price_book"]), {**end, **counted, "usage_source": "provider"})
    return {"estimated_picousd": rated.cost.picousd, "price_state": rated.cost.state}


class _Count:
    """Counts the two sides of one record; `is_partial` once something could not be counted."""

    def __init__(self, counter: TokenCounter, encoding: str) -> None:
        self._counter = counter
        self._encoding = encoding
        self.is_partial = False

    def prompt(self, endpoint: str, record: UnmeteredRecord) -> int | None:
        """None when no prompt is found in it; in proportion when only its beginning was kept."""
        document = _parse(record.body)
        if document is None:
            return None
        tokens = self._sum([prompt_texts(endpoint, document)])
        return self._scale(tokens, len(record.body), record.body_total_bytes) or None

    def answer(self, record: UnmeteredRecord) -> int | None:
        """None when an answer passed of which no text was kept."""
        if not record.answer:
            return None if record.answer_total_bytes else 0
        if record.answer.lstrip()[:1] == b"{":
            document = _parse(record.answer)
            if document is None:
                return None
            tokens = self._sum([answer_texts(document)])
            return self._scale(tokens, len(record.answer), record.answer_total_bytes)
        return self._stream(record)

    def _stream(self, record: UnmeteredRecord) -> int | None:
        """What comes before the first text is no measure of what follows it."""
        found = stream_texts(record.answer)
        for texts in found.by_choice.values():
            texts.pieces = ["".join(texts.pieces)]  # deltas cut words where their provider did
        tokens = self._sum(found.by_choice.values())
        if record.answer_total_bytes <= len(record.answer):
            return tokens
        read = found.read_bytes - found.first_at
        return self._scale(tokens, read, record.answer_total_bytes - found.first_at)

    def _sum(self, texts: Iterable[Texts]) -> int:
        total = 0
        for each in texts:
            total += each.extra_tokens
            total += sum(self._counter.count(piece, self._encoding) for piece in each.pieces)
            self.is_partial |= each.is_partial
        return total

    def _scale(self, tokens: int, part_bytes: int, total_bytes: int) -> int | None:
        """From nothing read nothing can be told of the rest."""
        if total_bytes <= part_bytes:
            return tokens
        self.is_partial = True
        if not tokens:
            return None
        return tokens * total_bytes // part_bytes


def _parse(data: bytes) -> dict[str, Any] | None:
    """The object, of a cut document as far as it goes; None when there is none."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        whole = data.decode(errors="ignore")
        try:
            document = from_json(whole, allow_partial="trailing-strings")
        except ValueError:
            return None
    return document if isinstance(document, dict) else None
