"""The history only grows, tells of every changed byte, and answers for both times."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.prices.document import BOOK_PATH, read_document
from config.prices.history import (
    History,
    PriceRow,
    append_batch,
    book_of,
    changed_rows,
    read_history,
)

MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def entry(amount: int, **more: Any) -> dict[str, Any]:
    band = {"tier": "standard", "above_input_tokens": 0, "state": "agreed",
            "price": {"input": amount}}  # fmt: skip
    return {"bands": [band], **more}


def row(amount: int | None, valid_from: str = "", valid_to: str = "") -> PriceRow:
    return PriceRow("p", "m", valid_from, valid_to, entry(amount) if amount else None)


def price_on(history: History, day: date, as_of: datetime | None = None) -> int | None:
    models = history.providers(day, as_of).get("p", {})
    return models["m"]["bands"][0]["price"]["input"] if "m" in models else None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    append_batch(path, [row(10)], MAY, {"first": {"version": "1", "sha256": "aa"}})
    append_batch(path, [row(20, "2026-04-01"), row(5, "2026-07-01", "2026-07-11")], JUNE, {})
    return path


def test_the_last_recorded_row_that_holds_on_a_day_counts(path: Path) -> None:
    history = read_history(path)

    assert price_on(history, date(2026, 3, 31)) == 10
    assert price_on(history, date(2026, 4, 1)) == 20
    assert price_on(history, date(2026, 7, 1)) == 5
    assert price_on(history, date(2026, 7, 11)) == 20


def test_what_was_known_earlier_stays_known(path: Path) -> None:
    history = read_history(path)

    assert price_on(history, date(2026, 4, 1), MAY) == 10
    assert price_on(history, date(2026, 4, 1), JUNE) == 20
    assert price_on(history, date(2026, 4, 1), datetime(2026, 4, 30, tzinfo=UTC)) is None


def test_a_row_knows_its_batch(path: Path) -> None:
    first = read_history(path).rows[0]

    assert first.recorded_at == MAY.isoformat()
    assert first.sources == {"first": {"version": "1", "sha256": "aa"}}


def test_appending_leaves_every_byte_where_it_is(path: Path) -> None:
    before = path.read_bytes()
    history = append_batch(path, [row(None, "2026-08-01")], JUNE, {})

    assert path.read_bytes().startswith(before)
    assert history == read_history(path)
    assert history.batches == 3
    assert price_on(history, date(2026, 8, 1)) is None


def test_a_clock_that_went_back_is_refused(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="later than now"):
        append_batch(path, [row(1)], MAY, {})
    assert path.read_bytes() == before


def is_found(path: Path, damaged: bytes, header: dict[str, Any]) -> bool:
    """Whether a reader of the history, or of the book that names its hash, sees the change."""
    path.write_bytes(damaged)
    try:
        return read_history(path).hash != str(header["history"])
    except ConfigError:
        return True


def test_each_byte_that_is_changed_is_found(path: Path) -> None:
    whole = path.read_bytes()
    header = book_of(read_history(path), {"as_of": "2026-07-01"})["header"]
    sealed = whole.rindex(b'{"batch"')

    assert not is_found(path, whole, header)
    for place in range(0, len(whole), 3):
        damaged = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert is_found(path, damaged, header), place
        if place < sealed:  # without the book as well
            with pytest.raises(ConfigError):
                read_history(path)


def test_a_missing_line_is_found(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    with pytest.raises(ConfigError, match="was changed"):
        read_history(path)


@pytest.mark.parametrize("data", [b"", b"x", b"[]\n", b"{}\n", b'{"batch":1}\n'])
def test_what_is_no_history_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="cannot be used"):
        read_history(path)


def test_a_build_records_what_changed_and_keeps_what_was_reviewed(tmp_path: Path) -> None:
    path, day = tmp_path / "history.jsonl", date(2026, 6, 1)
    first = {"p": {"same": entry(1), "new": entry(2), "gone": entry(3)}}
    rows = list(changed_rows(History(), first, day))
    assert {(r.model, r.valid_from) for r in rows} == {("same", ""), ("new", ""), ("gone", "")}
    append_batch(path, rows, MAY, {})
    reviewed = PriceRow("p", "new", "2026-05-01", "", entry(7, citation="https://example.com"))
    history = append_batch(path, [reviewed], MAY, {})

    second = {"p": {"same": entry(1), "new": entry(4), "other": entry(5)}}
    changes = list(changed_rows(history, second, day))
    assert [(r.model, r.valid_from, r.entry) for r in changes] == [
        ("gone", "2026-06-01", None),
        ("other", "", entry(5)),
    ]
    history = append_batch(path, changes, JUNE, {})
    assert list(changed_rows(history, second, day)) == []


def test_the_shipped_book_is_what_its_history_makes() -> None:
    document = read_document(BOOK_PATH)
    history = read_history()

    assert document["header"]["history"] == history.hash
    assert book_of(history, document["header"]) == document
