"""Tools, tool choice and output format of a Responses request in chat's words.

Called by responses_request.py. Tools that run at the provider are refused by name.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.responses_refusing import malformed, refusal
from proxy.providers.translation import Document

_FUNCTION_FIELDS = ("name", "description", "parameters", "strict")
_SCHEMA_FIELDS = ("name", "description", "schema", "strict")
_CHOICES = ("none", "auto", "required")


def tools_of(value: object) -> list[Document]:
    """Return chat's tools; raises UntranslatableError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed("tools", "a list of objects")
    return [_tool(tool, f"tools[{place}]") for place, tool in enumerate(value)]


def _tool(tool: object, where: str) -> Document:
    if not isinstance(tool, Mapping):
        raise malformed(where, "an object")
    match tool.get("type"):
        case "function":
            return {"type": "function", "function": _present(tool, _FUNCTION_FIELDS)}
        case "custom":
            custom = _present(tool, ("name", "description"))
            if isinstance(tool.get("format"), Mapping):
                custom["format"] = _format(tool["format"])
            return {"type": "custom", "custom": custom}
        case kind:
            raise refusal(f"The tool {str(kind)[:64]} runs at a provider of Responses.", where)


def _present(source: Mapping[str, Any], names: tuple[str, ...]) -> Document:
    return {name: source[name] for name in names if source.get(name) is not None}


def _format(given: Mapping[str, Any]) -> Document:
    """A grammar is flat in Responses and nested in chat."""
    if given.get("type") != "grammar":
        return dict(given)
    return {"type": "grammar", "grammar": _present(given, ("syntax", "definition"))}


def tool_choice_of(value: object) -> str | Document:
    """Return chat's tool_choice; raises UntranslatableError."""
    if isinstance(value, str) and value in _CHOICES:
        return value
    if not isinstance(value, Mapping):
        raise malformed("tool_choice", f"one of {', '.join(_CHOICES)} or an object")
    if value.get("type") != "allowed_tools":
        return _named(value)
    allowed = value.get("tools")
    tools = [_named(each) for each in allowed] if isinstance(allowed, list) else []
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": value.get("mode", "auto"), "tools": tools},
    }


def _named(choice: object) -> Document:
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or kind not in ("function", "custom"):
        raise refusal("Only own functions and custom tools can be chosen.", "tool_choice")
    return {"type": kind, kind: {"name": choice.get("name")}}


def response_format_of(text: Mapping[str, Any]) -> Document | None:
    """Return chat's response_format of `text.format`; None for plain text."""
    wanted = text.get("format")
    if wanted is None:
        return None
    match wanted.get("type") if isinstance(wanted, Mapping) else None:
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return {"type": "json_schema", "json_schema": _present(wanted, _SCHEMA_FIELDS)}
        case _:
            raise malformed("text.format.type", "text, json_object or json_schema")
