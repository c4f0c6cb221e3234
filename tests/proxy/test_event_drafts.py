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
TEXTS = ["", "a", 'q"\\', "\ud800", "\x00", "x" * 5000]
FLAGS = [False, True]
# What a request may be, one thing at a time; the first is what most are.
CHOICES: dict[str, list[Any]] = {
    "decision": [
        decision(), None, decision(arm="holdout"), decision(propensity=0.5),
        decision(policy_revision="p@2"), decision(rule="r"), decision(reasons=("a", "b")),
        decision(clamp_output_tokens=7),
    ],
    "wishes": [
        CallerWishes(), CallerWishes(cache_control="no-store"), CallerWishes(is_no_optimize=True),
        CallerWishes(retry_count=2), CallerWishes(client_timeout_s=0.5),
        CallerWishes(latency_objective_ms=9), CallerWishes(session="s", idempotency_key="k"),
    ],
    "doc": [
        {"model": "gpt-4o"}, {"service_tier": "flex"}, {"service_tier": {"a": 1}},
        {"service_tier": "\ud800"}, {"tools": [1]}, {"tools": []},
    ],
    "key": [key_record(), key_record("other"), key_record("app", "rival")],
    "endpoint": ["chat", "embeddings"],
    "model": ["gpt-4o", "unknown", *TEXTS],
    "tags": [{}, {"team": "a"}, {"team": "\ud800"}],
    "body": [b"", b"four"],
    "is_streaming": FLAGS,
    "max_output_tokens": [0, 2**31],
    "choices_n": [1, 3],
    "is_deterministic": FLAGS,
    "session_hash": TEXTS,
    "session_source": TEXTS,
    "user_hash": TEXTS,
    "salt_epoch": TEXTS,
    "draws": [Draws(0.0, 0.0), Draws(0.25, 0.0), Draws(0.25, 0.125)],
    "request_key": TEXTS,
    "prefix_blocks": [[], ["a", "b"], ["\ud800"]],
    "body_digest": TEXTS,
    "deadline": [600.0, 0.1, -5.0],
    "cache": ["miss", "hit", "bypass"],
    "cache_reason": TEXTS,
    "attempts": [1, 2],
}  # fmt: skip
PLACES = [
    PLACE, NOWHERE, PLACE._replace(kind="azure"), PLACE._replace(region="eu"),
    PLACE._replace(host="other.example"), PLACE._replace(is_simulated=True),
]  # fmt: skip
MOST = {name: values[0] for name, values in CHOICES.items()}
contexts = st.fixed_dictionaries({name: st.sampled_from(each) for name, each in CHOICES.items()})


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


@given(contexts, st.sampled_from(PLACES), st.sampled_from(["gpt-4o", *TEXTS]))
def test_an_event_by_its_form_is_the_drafted_one(
    live: LiveSnapshot, parts: dict[str, Any], place: Place, model: str
) -> None:
    """All are requests of one snapshot: the forms of those before are there to be mistaken."""
    assert_as_drafted(made(live, parts), place, model)


@pytest.mark.parametrize("name", CHOICES)
def test_requests_that_differ_in_one_thing_keep_to_their_own_form(
    live: LiveSnapshot, name: str
) -> None:
    for value in [*CHOICES[name], *CHOICES[name]]:
        assert_as_drafted(made(live, {**MOST, name: value}), PLACE, "gpt-4o")


def test_attempts_at_other_places_keep_to_their_own_form(live: LiveSnapshot) -> None:
    for place in [*PLACES, *PLACES]:
        for model in ("gpt-4o", "other"):
            assert_as_drafted(made(live, MOST), place, model)


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
