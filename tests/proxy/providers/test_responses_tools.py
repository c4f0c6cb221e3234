"""Tools, choices and formats of Responses in chat's words; the provider's own are refused."""

from typing import Any

import pytest

from proxy.providers.responses_tools import response_format_of, tool_choice_of, tools_of
from proxy.providers.translation import UntranslatableError

HOSTED = (
    "web_search", "web_search_preview", "file_search", "computer_use_preview", "code_interpreter",
    "mcp", "image_generation", "shell", "namespace",
)  # fmt: skip


@pytest.mark.parametrize("kind", HOSTED)
def test_tools_that_run_at_the_provider_are_refused_by_name(kind: str) -> None:
    with pytest.raises(UntranslatableError, match=kind) as caught:
        tools_of([{"type": "function", "name": "f"}, {"type": kind}])
    assert caught.value.param == "tools[1]"


@pytest.mark.parametrize("tools", [[7], [{}], [{"type": []}], "x"])
def test_what_is_no_tool_is_refused(tools: Any) -> None:
    with pytest.raises(UntranslatableError):
        tools_of(tools)


@pytest.mark.parametrize(
    ("choice", "chat"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_choices(choice: Any, chat: Any) -> None:
    assert tool_choice_of(choice) == chat


@pytest.mark.parametrize(
    "choice",
    [
        "sometimes",
        7,
        {"type": "web_search"},
        {"type": ["function"]},
        {"type": "allowed_tools", "tools": [{"type": "mcp"}]},
        {"type": "allowed_tools", "tools": ["x"]},
    ],
)
def test_choices_chat_does_not_have(choice: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        tool_choice_of(choice)
    assert caught.value.param == "tool_choice"


@pytest.mark.parametrize("wanted", [{"type": "xml"}, "text", {"type": []}])
def test_formats_nobody_knows_are_refused(wanted: Any) -> None:
    with pytest.raises(UntranslatableError) as caught:
        response_format_of({"format": wanted})
    assert caught.value.param == "text.format.type"
