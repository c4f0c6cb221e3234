"""Tools and the choice among them in Anthropic's words; called by anthropic_request.py."""

from collections.abc import Mapping
from typing import Any

from proxy.providers.messages_checks import as_object, objects, refused, text_field
from proxy.providers.translation import Document

NO_PARAMETERS = {"type": "object", "properties": {}}
CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def read_tools(doc: Mapping[str, Any]) -> list[Document]:
    """Return the tools; those of types only Anthropic knows pass as they are."""
    return [_tool(tool, where) for where, tool in objects(doc.get("tools"), "tools")]


def _tool(tool: dict[str, Any], where: str) -> Document:
    kind = tool.get("type")
    if kind == "custom":
        hint = "Use a tool of type 'function' with a JSON schema."
        raise refused(where, "takes free text, which Anthropic's tools do not", hint)
    if kind != "function":
        text_field(tool, "type", where)
        return tool
    function = as_object(tool.get("function"), f"{where}.function")
    translated: Document = {
        "name": text_field(function, "name", f"{where}.function"),
        "input_schema": as_object(function.get("parameters"), f"{where}.function.parameters")
        or NO_PARAMETERS,
    }
    for name in ("description", "strict", "cache_control"):
        value = function.get(name, tool.get(name))
        if value is not None:
            translated[name] = value
    return translated


def read_choice(doc: Mapping[str, Any], *, has_tools: bool) -> Document | None:
    """Return the choice among tools; None where Anthropic's own default says the same."""
    choice = _choice(doc.get("tool_choice"))
    if not has_tools:
        if choice and choice["type"] in {"any", "tool"}:
            raise refused("tool_choice", "asks for a tool, but there are none", "Send 'tools'.")
        return None
    if doc.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _choice(choice: Any) -> Document | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in CHOICES:
        return {"type": CHOICES[choice]}
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = as_object(choice.get("function"), "tool_choice.function")
        return {"type": "tool", "name": text_field(function, "name", "tool_choice.function")}
    hint = "Use auto, required, none or a named function."
    raise refused("tool_choice", "cannot be said to Anthropic", hint)
