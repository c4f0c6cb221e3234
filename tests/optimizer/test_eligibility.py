"""Which requests may be cached, in every dialect, and which may never be."""

from typing import Any

import pytest

from optimizer.eligibility import allows_store, is_deterministic


@pytest.mark.parametrize(
    ("doc", "endpoint", "expected"),
    [
        ({}, "embeddings", True),
        ({"temperature": 0}, "chat", True),
        ({"temperature": 0.0}, "chat", True),
        ({"temperature": False}, "chat", False),
        ({"temperature": "0"}, "chat", False),
        ({"temperature": 0.2}, "chat", False),
        ({"temperature": 1, "seed": 0}, "chat", True),
        ({"seed": None}, "chat", False),
        ({}, "chat", False),
        ({"temperature": 0, "web_search_options": {}}, "chat", False),
        ({"temperature": 0, "tools": [{"type": "function"}, {"type": "custom"}]}, "chat", True),
        ({"temperature": 0, "tools": [{"type": "web_search"}]}, "chat", False),
        ({"temperature": 0, "tools": ["nonsense"]}, "chat", False),
        ({"temperature": 0, "tools": [{"type": []}]}, "chat", False),
        ({"temperature": 0, "tools": "nonsense"}, "chat", False),
        ({"temperature": 0, "store": False}, "responses", True),
        ({"temperature": 0}, "responses", False),
        ({"temperature": 0, "store": True}, "responses", False),
        ({"temperature": 1, "store": False}, "responses", False),
        ({"temperature": 0, "store": False, "seed": 7}, "responses", True),
        ({"temperature": 0, "store": False, "previous_response_id": "r"}, "responses", False),
        ({"temperature": 0, "store": False, "previous_response_id": None}, "responses", True),
        ({"temperature": 0, "store": False, "conversation": {"id": "c"}}, "responses", False),
        ({"temperature": 0, "store": False, "background": True}, "responses", False),
        ({"temperature": 0, "store": False, "background": False}, "responses", True),
        ({"temperature": 0, "store": False, "tools": [{"type": "function"}]}, "responses", True),
        ({"temperature": 0, "store": False, "tools": [{"type": "mcp"}]}, "responses", False),
        (
            {"temperature": 0, "store": False, "input": [{"type": "item_reference", "id": "m"}]},
            "responses",
            False,
        ),
        ({"temperature": 0}, "messages", True),
        ({}, "messages", False),
        ({"temperature": 0, "tools": [{"name": "f"}, {"type": "custom"}]}, "messages", True),
        ({"temperature": 0, "tools": [{"type": "web_search_20250305"}]}, "messages", False),
        ({"temperature": 0, "container": "c"}, "messages", False),
        ({"temperature": 0}, "completions", True),
        ({"seed": 7, "best_of": 1}, "completions", True),
        ({"temperature": 0, "best_of": 3}, "completions", False),
        ({"temperature": 0, "best_of": []}, "completions", False),
        ({}, "completions", False),
        ({"generationConfig": {"temperature": 0}}, "gemini", False),
        ({"temperature": 0}, "images", False),
    ],
)
def test_deterministic_by_the_callers_own_words(
    doc: dict[str, Any], endpoint: str, expected: bool
) -> None:
    assert is_deterministic(doc, endpoint) is expected


@pytest.mark.parametrize(
    ("doc", "endpoint", "expected"),
    [
        ({}, "chat", True),
        ({"store": True}, "chat", False),
        ({"store": None}, "chat", True),
        ({}, "responses", False),
        ({"store": False}, "responses", True),
        ({"store": False, "prompt": {"id": "p"}}, "responses", False),
        ({"store": False, "input": [7, {"type": "compaction"}]}, "responses", False),
        ({"store": False, "input": [{"id": "msg_1"}]}, "responses", False),
        ({"store": False, "input": [{"role": "user", "content": "x"}]}, "responses", True),
        ({"mcp_servers": [{}]}, "messages", False),
        ({}, "messages", True),
        ({}, "gemini", True),
    ],
)
def test_what_may_never_be_kept_whatever_the_rule(
    doc: dict[str, Any], endpoint: str, expected: bool
) -> None:
    assert allows_store(doc, endpoint) is expected
