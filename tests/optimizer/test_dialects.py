"""The tables of the dialects: who is named, and that chat's own stay what they are."""

from typing import Any

import pytest

from optimizer.dialects import (
    PROMPT_FIELDS,
    TRANSPORT_FIELDS,
    has_one_form,
    prompt_fields,
    subjects_in,
    unhashed_fields,
)


@pytest.mark.parametrize("endpoint", ["chat", "embeddings"])
def test_chat_and_embeddings_have_the_hubs_fields(endpoint: str) -> None:
    assert prompt_fields(endpoint) == PROMPT_FIELDS
    assert unhashed_fields(endpoint) == TRANSPORT_FIELDS | {"model"}
    assert not has_one_form(endpoint)


@pytest.mark.parametrize("endpoint", ["responses", "messages", "completions", "gemini"])
def test_the_others_count_what_shapes_a_stored_stream(endpoint: str) -> None:
    assert has_one_form(endpoint)
    assert "stream" in unhashed_fields(endpoint)
    assert "stream_options" not in unhashed_fields(endpoint)


@pytest.mark.parametrize(
    ("doc", "endpoint", "expected"),
    [
        ({"user": "u", "safety_identifier": "s"}, "chat", ("u", "s")),
        ({"user": "u"}, "responses", ("u", "")),
        ({"user": 7}, "completions", ("", "")),
        ({"metadata": {"user_id": "m"}, "user": "u"}, "messages", ("m", "")),
        ({"metadata": "nonsense"}, "messages", ("", "")),
        ({"metadata": {"user_id": ["m"]}}, "messages", ("", "")),
        ({"user": "u"}, "gemini", ("", "")),
    ],
)
def test_whom_a_call_is_for(doc: dict[str, Any], endpoint: str, expected: tuple[str, str]) -> None:
    assert subjects_in(doc, endpoint) == expected
