"""Turns a chat request's tools and tool choice into Gemini's; called by gemini_request.py.

`strict` has no counterpart and is left out: Gemini is asked with the same schema either way.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.providers.gemini_schema import gemini_schema
from proxy.providers.translation import Document, UntranslatableError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def gemini_tools(doc: Mapping[str, Any]) -> Document:
    """Return `tools` and `toolConfig` of a chat request, as far as it has them.

    Raises UntranslatableError.
    """
    tools = doc.get("tools")
    if not tools:
        return {}
    if not isinstance(tools, list):
        raise _refused("tools", "is not a list")
    if doc.get("parallel_tool_calls") is False:
        raise _refused("parallel_tool_calls", "is false, and Gemini may always make several calls")
    declarations = [_declaration(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    found: Document = {"tools": [{"functionDeclarations": declarations}]}
    choice = doc.get("tool_choice")
    if choice is not None:
        names = [declaration["name"] for declaration in declarations]
        found["toolConfig"] = {"functionCallingConfig": _choice(choice, names)}
    return found


def _declaration(tool: Any, where: str) -> Document:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or tool.get("type") != "function":
        raise _refused(where, "is not a tool of type 'function'")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _refused(f"{where}.function.name", "must begin with a letter or an underscore")
    declaration: Document = {"name": name}
    if isinstance(function.get("description"), str):
        declaration["description"] = function["description"]
    parameters = function.get("parameters")
    # A function without parameters is declared without a schema, as Google asks.
    if isinstance(parameters, Mapping) and parameters.get("properties", True):
        schema = gemini_schema(parameters, f"{where}.function.parameters")
        declaration["parametersJsonSchema"] = schema
    return declaration


def _choice(choice: Any, names: list[str]) -> Document:
    if isinstance(choice, str) and choice in _MODES:
        return {"mode": _MODES[choice]}
    if not isinstance(choice, Mapping):
        raise _refused("tool_choice", f"is {str(choice)[:40]!r}")
    if choice.get("type") == "allowed_tools":
        return _allowed(choice.get("allowed_tools"), names)
    function = choice.get("function")
    name = function.get("name") if isinstance(function, Mapping) else None
    if name not in names:
        raise _refused("tool_choice", "names a function that is not among the tools")
    return {"mode": "ANY", "allowedFunctionNames": [name]}


def _allowed(allowed: Any, names: list[str]) -> Document:
    """Say OpenAI's `allowed_tools`; Gemini narrows the names only where a call must be made."""
    tools = allowed.get("tools") if isinstance(allowed, Mapping) else None
    functions = [tool.get("function") for tool in tools or [] if isinstance(tool, Mapping)]
    wanted = [function.get("name") for function in functions if isinstance(function, Mapping)]
    if not wanted or any(name not in names for name in wanted):
        raise _refused("tool_choice.allowed_tools", "names a function that is not among the tools")
    if allowed.get("mode") != "required":
        raise _refused("tool_choice.allowed_tools", "leaves the call open, which Gemini cannot say")
    return {"mode": "ANY", "allowedFunctionNames": wanted}


def _refused(where: str, what: str) -> UntranslatableError:
    hint = "Gemini calls declared functions: by choice, always, never, or one of those you name."
    return UntranslatableError(f"'{where}' {what}.", hint, param=where)
