"""The tap on legacy streams: what it learns from text_completion chunks."""

from typing import Any

from proxy.streaming.completions_tap import CompletionsTap
from tests.proxy.samples import USAGE, event_of, stream_of

HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "davinci-002"}


def chunk(text: str, index: int = 0, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}
    return {**HEAD, "choices": [choice]}


def test_a_legacy_stream_is_read_and_its_usage_chunk_left_out_unasked() -> None:
    events = [chunk("Hello"), chunk("Bye", 1, "length"), chunk("", 0, "stop")]
    usage = {**HEAD, "choices": [], "usage": USAGE}
    for strips_usage in (True, False):
        tap = CompletionsTap(strips_usage=strips_usage, keeps_bytes_limit=1 << 20)
        out = tap.feed(stream_of([*events, usage]))
        passed = events if strips_usage else [*events, usage]
        assert out == b"".join(event_of(each) for each in passed)
        assert tap.is_done
        assert tap.held == b"data: [DONE]\n\n"
        assert tap.usage == USAGE
        assert tap.model == "davinci-002"
        assert tap.finish_reasons == {0: "stop", 1: "length"}
        assert tap.kept_stream == stream_of([*events, usage])


def test_an_error_is_held_as_the_last_thing() -> None:
    tap = CompletionsTap(strips_usage=True, keeps_bytes_limit=0)
    error = event_of({"error": {"message": "m"}})
    assert tap.feed(event_of(chunk("a")) + error + event_of(chunk("b"))) == event_of(chunk("a"))
    assert tap.error == {"message": "m"}
    assert tap.held == error
