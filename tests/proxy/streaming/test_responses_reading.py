"""Reading a Response document: usage, ending, units and ids, whatever it holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.streaming.responses_reading import (
    MOST_IDS,
    ObjectIds,
    read_response_document,
    responses_units,
)
from tests.proxy.streaming.test_responses_tap import ENDED, PYTHON, RESPONSE, SEARCH, USAGE


def test_a_document_says_what_its_stream_says() -> None:
    reading = read_response_document(ENDED)
    assert reading.usage == USAGE
    assert (reading.model, reading.service_tier) == (RESPONSE["model"], "default")
    assert reading.finish_reasons == {0: "completed"}
    assert reading.units["web_search_calls"] == 1
    assert reading.object_ids == {
        "resp_1": "response",
        "conv_1": "conversation",
        "ws_1": "item",
        "ci_1": "item",
        "cntr_1": "container",
    }


@pytest.mark.parametrize("status", ["queued", "in_progress", None])
def test_what_has_not_ended_has_no_ending(status: str | None) -> None:
    assert read_response_document(RESPONSE | {"status": status}).finish_reasons == {}


@pytest.mark.parametrize(
    ("document", "units"),
    [
        ({}, {}),
        ({"output": [SEARCH, SEARCH]}, {"web_search_calls": 2}),
        ({"output": [{"type": "web_search_call"}]}, {"web_search_calls": 1}),
        ({"output": [{"type": "web_search_call", "action": {"type": "open_page"}}]}, {}),
        (
            {"output": [SEARCH], "tool_usage": {"web_search": {"num_requests": 3}}},
            {"web_search_calls": 3},
        ),
        ({"output": [SEARCH], "tool_usage": {"web_search": {"num_requests": 0}}}, {}),
        ({"output": [], "tool_usage": {"web_search": {"num_requests": 0}}}, {}),
        (
            {"output": [SEARCH], "tool_usage": {"web_search": {"num_requests": "many"}}},
            {"web_search_calls": 1},
        ),
        (
            {"output": [PYTHON, PYTHON | {"container_id": "b"}, PYTHON]},
            {"code_interpreter_calls": 3, "code_interpreter_containers": 2},
        ),
        ({"output": [{"type": "file_search_call"}]}, {"file_search_calls": 1}),
        ({"output": [{"type": "message"}, {"type": []}, 7]}, {}),
        ({"output": "nonsense"}, {}),
    ],
)
def test_units(document: dict[str, Any], units: dict[str, int]) -> None:
    assert responses_units(document) == units


def test_ids_are_bounded() -> None:
    ids = ObjectIds()
    ids.add_response({"id": "x" * 300, "conversation": "conv_1"})
    assert ids.kinds == {"conv_1": "conversation"}
    ids.add_response({"id": "resp_1", "output": [{"id": f"m{n}"} for n in range(MOST_IDS + 9)]})
    assert len(ids.kinds) == MOST_IDS
    assert ids.kinds["resp_1"] == "response"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = ("id", "usage", "output", "tool_usage", "conversation", "incomplete_details", "status")


@given(st.dictionaries(st.sampled_from(FIELDS), values))
def test_no_document_is_too_strange(document: dict[str, Any]) -> None:
    reading = read_response_document(document)
    assert set(reading.object_ids.values()) <= {"response", "conversation", "item"}
