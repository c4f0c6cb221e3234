"""The events: stable ids, and a form that orjson writes and no prompt fits into."""

from dataclasses import fields
from uuid import UUID, uuid5

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import END, START, AttemptEnd, AttemptStart, event_id
from tests.ledger.samples import make_end, make_start

Identity = tuple[str, str, int, str]
identities = st.tuples(
    st.text(max_size=8), st.text(max_size=8), st.integers(1, 99), st.sampled_from([START, END])
)


def test_ids_never_change() -> None:
    """A stored id must be found again by every later version."""
    assert event_id("acme", "r1", 1, START) == "3089a2cd-04b7-5232-be10-ae0c1dc3002c"


@given(identities)
def test_ids_are_uuids_of_version_5(identity: Identity) -> None:
    namespace = UUID("6f1c9d52-3e0b-5b7a-9a41-0c5d8e2f7b16")
    assert event_id(*identity) == str(uuid5(namespace, "\x1f".join(map(str, identity))))


@given(identities, identities)
def test_ids_are_equal_only_for_the_same_event(one: Identity, other: Identity) -> None:
    if "\x1f" not in "".join(one[:2] + other[:2]):
        assert (event_id(*one) == event_id(*other)) == (one == other)


def test_events_are_written_with_every_field() -> None:
    for event in (make_start(tags={"team": "a"}), make_end()):
        decoded = orjson.loads(orjson.dumps(event))
        assert list(decoded) == [field.name for field in fields(event)]
    assert decoded["outcome"] == "ok"


def test_both_kinds_agree_on_the_types_of_what_they_share() -> None:
    """They share one table, so a name must mean the same in both."""
    start_types = {field.name: field.type for field in fields(AttemptStart)}
    for field in fields(AttemptEnd):
        assert start_types.get(field.name, field.type) == field.type
