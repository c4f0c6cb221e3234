"""Events as bytes: the dataclass's JSON, or that of its values cut to size."""

from dataclasses import fields
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ledger.event_bytes import MAX_EVENT_BYTES, encode_clipped, encode_event
from ledger.events import AttemptEnd, Outcome
from tests.ledger.samples import make_end
from tests.ledger.test_start_form import VALUES

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    **VALUES,
    Outcome: st.sampled_from(Outcome),
    dict[str, int]: st.dictionaries(VALUES[str], VALUES[int], max_size=3),
}
changes = st.fixed_dictionaries(
    {}, optional={field.name: KINDS[field.type] for field in fields(AttemptEnd)}
)


@given(changes)
def test_an_event_is_written_as_orjson_writes_the_dataclass(values: dict[str, Any]) -> None:
    end = make_end(**values)
    try:
        expected = orjson.dumps(end)
    except orjson.JSONEncodeError:
        expected = b""
    if not 0 < len(expected) <= MAX_EVENT_BYTES:
        expected = encode_clipped(vars(end))
    assert encode_event(end) == expected


@given(changes)
def test_what_is_cut_can_be_written_and_has_every_field(values: dict[str, Any]) -> None:
    cut = orjson.loads(encode_clipped(vars(make_end(**values))))
    assert list(cut) == [field.name for field in fields(AttemptEnd)]
    assert all(len(value) <= 4096 for value in cut.values() if isinstance(value, str))
    assert all(abs(value) < 2**63 for value in cut.values() if type(value) is int)
