"""The headers of every answer: what passes from the upstream, ours, and nothing hostile."""

import pytest

from config.clock import Clock
from ledger.price_book import load_price_book
from proxy.event_drafts import draft_end
from proxy.live import LiveSnapshot
from proxy.reply_headers import STREAM_HEADERS, answer_headers, apex_headers
from tests.proxy.samples import decision, live_snapshot, request_context


@pytest.fixture(scope="module")
def live() -> LiveSnapshot:
    return live_snapshot(load_price_book())


def test_what_is_known_is_said_and_nothing_else(live: LiveSnapshot) -> None:
    ctx = request_context(live, key=None)
    assert apex_headers(ctx) == {"x-apex-request-id": "req_1", "x-apex-cache": "bypass"}
    ctx.key = next(iter(live.snapshot.keys_by_id.values()))
    active, _ = live.policies_of(ctx.key.tenant)
    assert apex_headers(ctx)["x-apex-policy"] == active.revision
    ctx.decision, ctx.cache = decision(policy_revision="p@1"), "miss"
    ctx.open_end = draft_end(ctx, live.places["openai"], "gpt-4o", Clock())
    assert apex_headers(ctx) == {
        "x-apex-request-id": "req_1",
        "x-apex-cache": "miss",
        "x-apex-model": "gpt-4o",
        "x-apex-policy": "p@1",
    }


@pytest.mark.parametrize("model", ["m\r\nx-evil: 1", "m\x00", "modèle", "m" * 5000])
def test_a_model_name_ends_no_header(live: LiveSnapshot, model: str) -> None:
    """It is the upstream's text."""
    ctx = request_context(live)
    ctx.open_end = draft_end(ctx, live.places["openai"], model, Clock())
    shown = apex_headers(ctx)["x-apex-model"]
    assert shown.isascii()
    assert shown.isprintable()
    assert 0 < len(shown) <= 256


def test_our_headers_win_and_the_upstreams_request_id_stays(live: LiveSnapshot) -> None:
    ctx = request_context(live)
    theirs = {"x-request-id": "up-1", "X-Apex-Cache": "hit", "Set-Cookie": "a=b", "Server": "s"}
    headers = answer_headers(ctx, theirs)
    assert headers["x-request-id"] == "up-1"
    assert headers["x-apex-cache"] == "bypass"
    assert {name for name in headers if not name.startswith("x-apex-")} == {"x-request-id"}
    assert answer_headers(ctx, {})["x-request-id"] == "req_1"


def test_streams_are_not_kept_back_on_their_way() -> None:
    assert STREAM_HEADERS["Content-Type"].startswith("text/event-stream")
    assert STREAM_HEADERS["X-Accel-Buffering"] == "no"
    assert STREAM_HEADERS["Cache-Control"] == "no-cache"
