"""Native Gemini streams watched on the side: bytes unchanged, the last event held to the end."""

from typing import Any

import pytest

from proxy.streaming.gemini_tap import GeminiTap
from proxy.streaming.unreadable import UNREADABLE
from tests.proxy.providers.gemini_goldens import as_stream, golden, goldens

ROOM_BYTES = 1_000_000


def tapped() -> GeminiTap:
    return GeminiTap(keeps_bytes_limit=ROOM_BYTES)


def test_text() -> None:
    exchange = golden("streams", "text")
    data = as_stream(exchange["gemini"])
    last = as_stream(exchange["gemini"][-1:])
    tap = tapped()
    assert tap.feed(data) == data.removesuffix(last)
    assert tap.kept_stream is None
    assert tap.finish() == b""
    assert tap.is_done
    assert tap.held == last
    assert tap.usage == exchange["usage"]
    assert tap.model == "gemini-3.1-flash-lite"
    assert tap.finish_reasons == {0: "STOP"}
    assert tap.kept_stream == data


@pytest.mark.parametrize("exchange", goldens("streams"))
@pytest.mark.parametrize("size", [1, 7, 64])
def test_cut_anywhere_gives_the_same_bytes(exchange: dict[str, Any], size: int) -> None:
    data = as_stream(exchange["gemini"])
    tap = tapped()
    out = b"".join(tap.feed(data[at : at + size]) for at in range(0, len(data), size))
    out += tap.finish()
    if tap.error is None:
        assert out + tap.held == data
        assert tap.usage == exchange["usage"]
    else:
        assert data.startswith(out + tap.held)
        assert b"UNAVAILABLE" in tap.held
        assert not tap.is_done
    assert tap.has_events


def test_cut_stream_is_not_done() -> None:
    tap = tapped()
    data = as_stream(golden("streams", "text")["gemini"][:2])
    assert tap.feed(data) == data
    assert tap.finish() == b""
    assert not tap.is_done
    assert tap.held == b""
    assert tap.kept_stream is None


def test_unterminated_last_event_is_whole_when_it_is_a_document() -> None:
    data = as_stream(golden("streams", "text")["gemini"], b"\n\n")
    for missing in (1, 2):
        tap = tapped()
        passed = tap.feed(data[:-missing])
        assert passed + tap.finish() + tap.held == data
        assert tap.is_done
    torn = tapped()
    torn.feed(data[:-10])
    assert torn.finish() == b""
    assert not torn.is_done


def test_what_was_held_goes_on_when_more_follows() -> None:
    events = golden("streams", "text")["gemini"]
    extra = {"usageMetadata": {"promptTokenCount": 7, "serviceTier": "STANDARD"}}
    tap = tapped()
    tap.feed(as_stream(events))
    assert tap.feed(b": ping\n\n") == b": ping\n\n"
    assert tap.feed(as_stream([extra])) == as_stream(events[-1:])
    assert tap.held == as_stream([extra])
    assert tap.service_tier == "default"
    tap.finish()
    assert tap.is_done


def test_second_candidate_must_end_too() -> None:
    events = golden("streams", "two-candidates")["gemini"]
    tap = tapped()
    data = as_stream(events[:2])
    assert tap.feed(data) == data
    tap.feed(as_stream(events[2:]))
    tap.finish()
    assert tap.is_done
    assert tap.finish_reasons == {0: "STOP", 1: "STOP"}


def test_error_after_the_finish_wins() -> None:
    last = as_stream(golden("streams", "text")["gemini"][-1:])
    error = as_stream([{"error": {"code": 500, "message": "No.", "status": "INTERNAL"}}])
    tap = tapped()
    assert tap.feed(last + error + last) == last
    assert tap.held == error
    assert tap.error == {"code": 500, "message": "No.", "status": "INTERNAL"}
    assert tap.feed(last) == b""
    assert tap.finish() == b""
    assert not tap.is_done


def test_blocked_prompt_is_an_end() -> None:
    tap = tapped()
    tap.feed(as_stream(golden("streams", "blocked-at-once")["gemini"]))
    tap.finish()
    assert tap.is_done
    assert tap.finish_reasons == {0: "PROHIBITED_CONTENT"}


def test_what_is_no_answer_passes_and_is_no_end() -> None:
    tap = tapped()
    data = b"data: [1]\n\ndata: [DONE]\n\n"
    assert tap.feed(data) == data
    tap.finish()
    assert not tap.is_done
    assert not tap.has_events


def test_an_event_that_is_not_json_ends_the_stream_as_an_error() -> None:
    tap = tapped()
    assert tap.feed(b"data: {\n\ndata: [1]\n\n") == b""
    tap.finish()
    assert (tap.error, tap.held, tap.is_done) == (UNREADABLE, b"", False)


def test_too_large_to_keep() -> None:
    tap = GeminiTap(keeps_bytes_limit=300)
    tap.feed(as_stream(golden("streams", "text")["gemini"]))
    tap.finish()
    assert tap.is_done
    assert tap.kept_stream is None
    assert tap.kept == []
