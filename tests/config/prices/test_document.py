"""The book on disk: canonical bytes, their hash, and the rows found in them."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices.document import (
    BOOK_PATH,
    book_hash,
    canonical_bytes,
    index_rows,
    read_document,
)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
entries = st.fixed_dictionaries(
    {"price": st.dictionaries(names, st.integers(0, 10**10), max_size=2)}
)
models = st.dictionaries(names, entries, min_size=1, max_size=3)
sections = st.dictionaries(names, models, min_size=1, max_size=3)


def test_the_committed_book_is_canonical() -> None:
    assert canonical_bytes(read_document()) == BOOK_PATH.read_bytes()


def test_the_hash_is_the_one_of_the_files_bytes() -> None:
    data = BOOK_PATH.read_bytes()

    assert book_hash(data) == hashlib.sha256(data).hexdigest()


def test_the_order_of_keys_changes_nothing() -> None:
    one = {"header": {"schema": 1, "as_of": "x"}, "providers": {"a": {"m": 1}, "b": {"n": 2}}}
    other = {"providers": {"b": {"n": 2}, "a": {"m": 1}}, "header": {"as_of": "x", "schema": 1}}

    assert canonical_bytes(one) == canonical_bytes(other)


@given(providers=sections, overrides=sections)
def test_every_row_is_found_under_its_path(
    providers: dict[str, dict[str, object]], overrides: dict[str, dict[str, object]]
) -> None:
    document = {"header": {"schema": 1}, "providers": providers, "overrides": overrides}
    data = canonical_bytes(document)

    rows = index_rows(data)

    assert json.loads(data) == document
    assert json.loads(rows["header",]) == {"schema": 1}
    for section, parts in (("providers", providers), ("overrides", overrides)):
        for name, models in parts.items():
            for model, entry in models.items():
                assert json.loads(rows[section, name, model]) == entry
    assert len(rows) == 1 + sum(len(m) for parts in (providers, overrides) for m in parts.values())


@pytest.mark.parametrize(
    "data", [b"{\nnot json\n}", json.dumps({"a": {"b": 1}}, indent=1).encode()]
)
def test_a_reformatted_document_is_refused_or_yields_no_header(data: bytes) -> None:
    try:
        rows = index_rows(data)
    except ValueError:
        return
    assert ("header",) not in rows


def test_amounts_that_are_no_numbers_are_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_bytes({"header": {"price": float("nan")}})
