"""Events by their forms: what the drafts say, whoever came before and whatever they sent."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import Clock
from ledger.event_bytes import encode_event
from ledger.price_book import PriceBook, load_price_book
from optimizer.decision import Draws
from proxy.context import CallerWishes, RequestContext
from proxy.event_drafts import (
    LARGEST_KEPT_FORM_BYTES,
    MOST_FORMS,
    draft_end,
    draft_start,
    form_of,
)
from proxy.live import NOWHERE, LiveSnapshot, Place
from tests.proxy.samples import PLACE, decision, key_record, live_snapshot, request_context

CLOCK = Clock()
texts = st.sampled_from(["", "a", "b", 'q"\\', "\ud800", "\x00", "x" * 5000])
unit = st.floats(0, 1)
decisions = st.none() | st.builds(
    decision,
    arm=st.sampled_from(["treated", "holdout"]),
    propensity=unit,
    rule=texts,
    policy_revision=st.sampled_from(["p@1", "p@2"]),
    reasons=st.lists(texts, max_size=2).map(tuple),
    clamp_output_tokens=st.none() | st.integers(0, 9),
)
wishes = st.builds(
    CallerWishes,
    cache_control=texts,
    is_no_optimize=st.booleans(),
    retry_count=st.integers(0, 2),
    client_timeout_s=st.sampled_from([0.0, 0.5, 600.0]),
    latency_objective_ms=st.integers(0, 2),
)
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "decision": decisions,
    "wishes": wishes,
    "endpoint": st.sampled_from(["chat", "embeddings"]),
    "model": st.sampled_from(["gpt-4o", "unknown", "\ud800"]),
    "key": st.sampled_from([key_record(), key_record("other"), key_record("app", "rival")]),
    "tags": st.dictionaries(texts, texts, max_size=2),
    "body": st.binary(max_size=4),
    "is_streaming": st.booleans(),
    "max_output_tokens": st.integers(0, 2**31),
    "choices_n": st.integers(1, 3),
    "is_deterministic": st.booleans(),
    "session_hash": texts,
    "session_source": texts,
    "user_hash": texts,
    "salt_epoch": texts,
    "draws": st.builds(Draws, unit, unit),
    "request_key": texts,
    "prefix_blocks": st.lists(texts, max_size=2),
    "body_digest": texts,
    "deadline": st.floats(-5, 900),
    "cache": st.sampled_from(["miss", "hit", "bypass"]),
    "cache_reason": texts,
    "attempts": st.integers(1, 3),
    "doc": st.fixed_dictionaries(
        {"model": st.just("gpt-4o")},
        optional={"service_tier": texts | st.just({"a": 1}), "tools": st.sampled_from([[], [1]])},
    ),
}
NAMES = sorted(PARTS)
contexts = st.fixed_dictionaries(PARTS)
places = st.sampled_from([
    PLACE, NOWHERE, Place("openai", "azure", "other.example", "eu"),
    Place("openai", "openai", "api.openai.com", is_simulated=True),
])  # fmt: skip


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture(scope="module")
def live(book: PriceBook) -> LiveSnapshot:
    return live_snapshot(book)


def assert_as_drafted(ctx: RequestContext, place: Place, model: str) -> None:
    """Compare both events by the form with those that the drafts give."""
    form = form_of(ctx, place, model, ctx.cache, CLOCK)
    start, end = draft_start(ctx, place, model, CLOCK), draft_end(ctx, place, model, CLOCK)
    assert orjson.loads(form.write_start(ctx, start.at_us)) == orjson.loads(encode_event(start))
    end.wait_us = 12
    made = form.open_end(ctx, 12)
    assert made == end
    assert list(vars(made)) == list(vars(end))


def made(live: LiveSnapshot, parts: dict[str, Any]) -> RequestContext:
    ctx: RequestContext = request_context(live, endpoint=parts["endpoint"])
    for name in parts.keys() - {"endpoint"}:
        setattr(ctx, name, parts[name])
    return ctx


@given(contexts, contexts, st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), places, texts)
def test_an_event_by_its_form_is_the_drafted_one(
    live: LiveSnapshot,
    one: dict[str, Any],
    other: dict[str, Any],
    names: set[str],
    place: Place,
    model: str,
) -> None:
    """Two requests of one snapshot, alike but for a few things: neither takes the other's form."""
    for parts in (one, {**one, **{name: other[name] for name in names}}):
        assert_as_drafted(made(live, parts), place, model)


@given(wishes, wishes)
def test_every_wish_is_told_apart(
    live: LiveSnapshot, one: CallerWishes, other: CallerWishes
) -> None:
    for name in CallerWishes._fields:
        mixed = one._replace(**{name: getattr(other, name)})
        for each in (one, mixed):
            assert_as_drafted(request_context(live, wishes=each), PLACE, "gpt-4o")


def test_ends_share_nothing_that_can_be_changed(live: LiveSnapshot) -> None:
    ctx = request_context(live)
    form = form_of(ctx, PLACE, "gpt-4o", "miss", CLOCK)
    end = form.open_end(ctx, 0)
    end.units["web_search_calls"] = 1
    end.finish_reasons.append("stop")
    end.unpriced_keys.append("x")
    fresh = form.open_end(ctx, 0)
    assert (fresh.units, fresh.finish_reasons, fresh.unpriced_keys) == ({}, [], [])


def test_requests_of_a_kind_share_a_form_and_an_oversized_one_is_not_kept(
    book: PriceBook,
) -> None:
    live = live_snapshot(book)
    first = form_of(request_context(live), PLACE, "gpt-4o", "miss", CLOCK)
    assert form_of(request_context(live), PLACE, "gpt-4o", "miss", CLOCK) is first
    for text in ("x" * LARGEST_KEPT_FORM_BYTES, "\ud800"):
        form_of(request_context(live, model=text), PLACE, "m", "miss", CLOCK)
    assert list(live.forms.values()) == [first]


def test_forms_are_bounded(book: PriceBook) -> None:
    live = live_snapshot(book)
    for number in range(MOST_FORMS + 3):
        form_of(request_context(live, salt_epoch=str(number)), PLACE, "gpt-4o", "miss", CLOCK)
        assert len(live.forms) <= MOST_FORMS
    assert len(live.forms) == 3
