"""Anthropic's tools and the choice among them in OpenAI's words; called by messages_request.py."""

from collections.abc import Mapping
from typing import Any

from proxy.providers.messages_checks import as_object, objects, refused, text_field
from proxy.providers.translation import Document

CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read_tools(value: Any) -> list[Document]:
    """Return the functions; tools that Anthropic runs itself are refused."""
    return [_tool(tool, where) for where, tool in objects(value, "tools")]


def _tool(tool: dict[str, Any], where: str) -> Document:
    kind = tool.get("type")
    if kind is not None and kind != "custom":
        hint = "It runs at Anthropic only: use one of their models, or a tool of your own."
        raise refused(where, f"of type {str(kind)[:40]!r} is not to be had here", hint)
    function: Document = {
        "name": text_field(tool, "name", where),
        "parameters": as_object(tool.get("input_schema"), f"{where}.input_schema"),
    }
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    return {"type": "function", "function": function}


def read_choice(value: Any) -> Mapping[str, Any]:
    """Return the fields tool_choice and parallel_tool_calls, as far as they were asked for."""
    if value is None:
        return {}
    choice = as_object(value, "tool_choice")
    kind = choice.get("type")
    fields: Document = {}
    if kind == "tool":
        function = {"name": text_field(choice, "name", "tool_choice")}
        fields["tool_choice"] = {"type": "function", "function": function}
    elif isinstance(kind, str) and kind in CHOICES:
        fields["tool_choice"] = CHOICES[kind]
    else:
        raise refused("tool_choice.type", "is not known", "Use auto, any, tool or none.")
    if choice.get("disable_parallel_tool_use") is True:
        fields["parallel_tool_calls"] = False
    return fields
