"""START by its form: the same JSON as the dataclass gives, whatever a caller's body had in it."""

from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event_bytes import MAX_EVENT_BYTES, encode_event
from ledger.events import AttemptStart
from ledger.start_form import VARYING, StartForm
from ledger.usage_row import decode_event
from tests.ledger.samples import make_start

HOSTILE = ["half a character \ud800", 'a "quote"\\', "\x00\x1f\u2028", "é" * 40_000, "z" * 70_000]
texts = st.text(max_size=12) | st.sampled_from(HOSTILE)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(-(2**63), 2**64) | st.just(10**30),
    float: st.floats(),
    bool: st.booleans(),
    list[str]: st.lists(texts, max_size=3),
    dict[str, str]: st.dictionaries(texts, texts, max_size=3),
}
TYPES = {field.name: field.type for field in fields(AttemptStart)}
changes = st.fixed_dictionaries({}, optional={name: VALUES[kind] for name, kind in TYPES.items()})


@given(changes)
def test_a_form_writes_what_the_dataclass_writes(values: dict[str, Any]) -> None:
    start = make_start(**values)
    varying = {name: getattr(start, name) for name in VARYING}
    written = StartForm(start).encode(varying)
    assert orjson.loads(written) == orjson.loads(encode_event(start))


@given(changes)
def test_one_form_serves_all_that_differ_in_what_varies(values: dict[str, Any]) -> None:
    start = make_start(**{name: value for name, value in values.items() if name in VARYING})
    varying = {name: getattr(start, name) for name in VARYING}
    form = StartForm(make_start("another", 7, tags={"of": "another"}, session="s"))
    assert orjson.loads(form.encode(varying)) == orjson.loads(encode_event(start))


@pytest.mark.parametrize("text", HOSTILE[3:])
def test_a_form_too_large_to_keep_is_cut_like_the_event(text: str) -> None:
    start = make_start(requested_model=text)
    written = StartForm(start).encode({name: getattr(start, name) for name in VARYING})
    assert len(written) < MAX_EVENT_BYTES
    assert decode_event(written)["requested_model"] == text[:4096]


def test_a_form_that_cannot_be_written_says_so() -> None:
    assert StartForm(make_start(requested_model="\ud800")).size_bytes == 0
    assert StartForm(make_start()).size_bytes > 0


def test_the_order_is_the_one_that_the_shipper_takes_as_it_is() -> None:
    start = make_start()
    written = StartForm(start).encode({name: getattr(start, name) for name in VARYING})
    names = list(orjson.loads(written))
    assert names[-len(VARYING) :] == list(VARYING)
    assert sorted(names) == sorted(TYPES)
    assert decode_event(written) == decode_event(orjson.dumps(start))
