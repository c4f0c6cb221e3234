"""Units that usage blocks and output items tell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.usage_units import units_from_output, units_from_usage


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({}, {}),
        ({"server_tool_use": None}, {}),
        ({"server_tool_use": {"web_search_requests": 0}}, {}),
        ({"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 9}},
         {"web_search_calls": 2}),
        ({"server_side_tool_usage_details": {"web_search_calls": 1, "x_search_calls": 3}},
         {"web_search_calls": 1, "x_search_calls": 3}),
        ({"type": "duration", "seconds": 12}, {"audio_input_ms": 12_000}),
        ({"type": "duration", "seconds": 1.0005}, {"audio_input_ms": 1001}),
        ({"type": "tokens", "seconds": 12}, {}),
    ],
)  # fmt: skip
def test_units_of_a_usage_block(usage: dict[str, Any], units: dict[str, int]) -> None:
    assert units_from_usage(usage) == units


@pytest.mark.parametrize(
    "usage",
    [
        {"server_tool_use": {"web_search_requests": "2"}},
        {"server_tool_use": {"web_search_requests": -1}},
        {"server_tool_use": {"web_search_requests": True}},
        {"type": "duration"},
        {"type": "duration", "seconds": float("nan")},
        {"type": "duration", "seconds": -1},
        {"type": "duration", "seconds": 10**400},
    ],
)
def test_what_is_no_count_is_refused(usage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a"):
        units_from_usage(usage)


def test_tool_calls_of_a_response_are_counted_and_sessions_once() -> None:
    items: list[Any] = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
        {"type": "file_search_call"},
        {"type": "code_interpreter_call", "container_id": "c1"},
        {"type": "code_interpreter_call", "container_id": "c1"},
        {"type": "code_interpreter_call", "container_id": "c2"},
        {"type": "message"}, "text", None,
    ]  # fmt: skip

    assert units_from_output(items) == {
        "web_search_calls": 2,
        "file_search_calls": 1,
        "code_interpreter_sessions": 2,
    }


@given(st.floats(0, 10**5, allow_nan=False))
def test_a_duration_is_never_cut_short(seconds: float) -> None:
    ms = units_from_usage({"type": "duration", "seconds": seconds})["audio_input_ms"]
    assert ms >= int(seconds * 1000)
    assert ms <= seconds * 1000 + 1
