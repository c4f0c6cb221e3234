"""Answers as bytes in Redis (row 4 of the faults, B3): what is not ours for a question is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rating import TokenBuckets
from proxy.answer_bytes import (
    Entry,
    ForeignEntryError,
    Label,
    PurgedEntryError,
    decode_entry,
    encode_entry,
)
from tests.proxy.samples import stored

KEY, LABEL = b"k" * 32, Label("acme", "question", b"")
ENTRY = Entry(
    stored("json", {"choices": [1]}, stored_at=0.0, buckets=TokenBuckets(3, output_tokens=4)), 5, 6
)


def test_it_comes_back_as_it_was() -> None:
    assert decode_entry(encode_entry(ENTRY, LABEL, KEY), LABEL, KEY) == ENTRY


@pytest.mark.parametrize(
    ("label", "key"),
    [
        (LABEL._replace(tenant="globex"), KEY),
        (LABEL._replace(request_key="other"), KEY),
        (LABEL, b"l" * 32),
    ],
)
def test_of_another_tenant_question_or_key_it_is_none(label: Label, key: bytes) -> None:
    with pytest.raises(ForeignEntryError):
        decode_entry(encode_entry(ENTRY, LABEL, KEY), label, key)


def test_of_before_a_purge_it_is_none() -> None:
    with pytest.raises(PurgedEntryError):
        decode_entry(encode_entry(ENTRY, LABEL, KEY), LABEL._replace(mark=b"purge"), KEY)


def test_a_mark_cannot_be_forged_into_an_entry() -> None:
    data = encode_entry(ENTRY, LABEL, KEY)
    forged = data[:1] + b"\x05purge" + data[2:]
    with pytest.raises(ForeignEntryError):
        decode_entry(forged, LABEL._replace(mark=b"purge"), KEY)


def test_every_byte_that_changes_spoils_it() -> None:
    data = encode_entry(ENTRY, LABEL, KEY)
    for place in range(len(data)):
        spoilt = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ForeignEntryError):
            decode_entry(spoilt, LABEL, KEY)


@given(st.binary(max_size=200))
def test_bytes_of_anybody_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ForeignEntryError):
        decode_entry(data, LABEL, KEY)
