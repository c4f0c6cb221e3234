"""One record becomes one row: counted as the model's family counts, priced by the event's book."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.book_shelf import BookShelf
from ledger.estimating import estimate_row
from ledger.events import END, event_id
from ledger.token_counting import TokenCounter
from ledger.unmetered_record import UnmeteredRecord
from ledger.usage_row import UnreadableEventError
from tests.ledger.samples import AT_US, LARGE, make_books, make_end, make_start

COUNTER = TokenCounter()
WORDS = "The harbor lantern was lit before the evening ferry came in. "


def make_record(
    body: object = None, answer: bytes = b"", *, books: str = "", **changes: Any
) -> UnmeteredRecord:
    """A record whose END says unknown; `body` is a document."""
    end = make_end(**{"usage_source": "unknown", "price_book": books, **changes})
    asked = {"messages": [{"role": "user", "content": WORDS}]} if body is None else body
    data = orjson.dumps(asked)
    return UnmeteredRecord(orjson.dumps(asdict(end)), data, len(data), answer, len(answer))


def deltas(count: int) -> bytes:
    event = orjson.dumps({"choices": [{"index": 0, "delta": {"content": " evening"}}]})
    return (b"data: " + event + b"\n\n") * count


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[BookShelf, str]:
    return make_books(tmp_path)


def test_a_row_is_counted_and_priced(shelf: tuple[BookShelf, str]) -> None:
    row = estimate_row(make_record(answer=deltas(40), books=shelf[1]), COUNTER, shelf[0])
    prompt = COUNTER.count(WORDS, "cl100k_base") + 6
    assert row == {
        "event_id": event_id("acme", "r1", 1, END),
        "tenant": "acme",
        "request_id": "r1",
        "attempt": 1,
        "at_us": AT_US,
        "model": LARGE,
        "encoding": "cl100k_base",
        "is_exact_encoding": False,
        "is_partial": False,
        "input_tokens": prompt,
        "output_tokens": 40,
        "estimated_picousd": prompt * 3_000_000 + 40 * 15_000_000,
        "price_state": "agreed",
    }


def test_without_a_price_there_are_tokens_and_no_amount(shelf: tuple[BookShelf, str]) -> None:
    own: Any = {"served_model": "own", "upstream_model": "own"}
    row = estimate_row(make_record(books=shelf[1], **own), COUNTER, shelf[0])
    assert (row["estimated_picousd"], row["price_state"]) == (None, "unknown")
    assert row["input_tokens"] > 0


def test_openais_own_models_are_counted_exactly(shelf: tuple[BookShelf, str]) -> None:
    row = estimate_row(make_record(served_model="gpt-4o-mini"), COUNTER, shelf[0])
    assert (row["encoding"], row["is_exact_encoding"]) == ("o200k_base", True)


def test_a_whole_answer_without_usage(shelf: tuple[BookShelf, str]) -> None:
    document = {"choices": [{"message": {"role": "assistant", "content": WORDS}}]}
    row = estimate_row(make_record(answer=orjson.dumps(document)), COUNTER, shelf[0])
    assert row["output_tokens"] == COUNTER.count(WORDS, "cl100k_base")


def test_the_rest_of_a_long_stream_is_extrapolated(shelf: tuple[BookShelf, str]) -> None:
    head = b'data: {"choices":[],"x":"%b"}\n\n' % (b"-" * 30_000)
    whole = head + deltas(2000)
    cut = replace(make_record(answer=whole[:60_000]), answer_total_bytes=len(whole))
    row = estimate_row(cut, COUNTER, shelf[0])
    assert row["is_partial"]
    assert abs(row["output_tokens"] - 2000) <= 5


def test_a_long_prompt_is_extrapolated_from_its_beginning(shelf: tuple[BookShelf, str]) -> None:
    record = make_record({"messages": [{"role": "user", "content": WORDS * 5000 + "\u5b57"}]})
    whole = estimate_row(record, COUNTER, shelf[0])["input_tokens"]
    cut = replace(record, body=record.body[:100_000])
    row = estimate_row(cut, COUNTER, shelf[0])
    assert row["is_partial"]
    assert abs(row["input_tokens"] - whole) < whole * 0.02


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"[1, 2]", b"nonsense", b'{"model": "m"}'])
def test_a_prompt_nobody_can_read_is_unknown(shelf: tuple[BookShelf, str], body: bytes) -> None:
    record = replace(make_record(books=shelf[1]), body=body, body_total_bytes=len(body))
    row = estimate_row(record, COUNTER, shelf[0])
    assert (row["input_tokens"], row["estimated_picousd"]) == (None, None)


@pytest.mark.parametrize("answer", [b"", b'data: {"choices":[]}\n\n', b"{\xff"])
def test_an_answer_of_which_no_text_was_kept_is_unknown(
    shelf: tuple[BookShelf, str], answer: bytes
) -> None:
    record = replace(make_record(answer=answer, books=shelf[1]), answer_total_bytes=9_000)
    row = estimate_row(record, COUNTER, shelf[0])
    assert (row["output_tokens"], row["estimated_picousd"]) == (None, None)


def test_an_answer_that_never_came_has_no_tokens_to_count(shelf: tuple[BookShelf, str]) -> None:
    assert estimate_row(make_record(), COUNTER, shelf[0])["output_tokens"] == 0


@pytest.mark.parametrize("event", [orjson.dumps(asdict(make_start())), b"{}", b"nonsense"])
def test_only_an_end_has_an_estimate(shelf: tuple[BookShelf, str], event: bytes) -> None:
    with pytest.raises(UnreadableEventError):
        estimate_row(replace(make_record(), end=event), COUNTER, shelf[0])


@pytest.mark.parametrize("endpoint", ["embeddings", "gemini_embed", "gemini_batch_embed"])
def test_embeddings_have_no_output_however_long_their_vectors(
    shelf: tuple[BookShelf, str], endpoint: str
) -> None:
    answer = b'{"data": [{"embedding": [0.25, -0.5'
    record = replace(make_record(answer=answer, endpoint=endpoint), answer_total_bytes=2**21)
    assert estimate_row(record, COUNTER, shelf[0])["output_tokens"] == 0
