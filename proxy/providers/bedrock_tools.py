"""Chat's tools as Converse's toolConfig, and back-end facts of it; called by bedrock_request.py."""

from collections.abc import Mapping
from typing import Any

from proxy.providers.bedrock_checks import as_object, objects, refused, text_field
from proxy.providers.bedrock_parts import cache_points
from proxy.providers.translation import Document

NO_SCHEMA = {"type": "object", "properties": {}}
TOOL_BLOCKS = frozenset({"toolUse", "toolResult"})


def tool_config(doc: Mapping[str, Any], turns: list[Document]) -> Document | None:
    """Return toolConfig, None when the model is to have no tools. Raises UntranslatableError.

    Converse has no "none" among its choices, so then the tools themselves are left out; it insists
    on them, though, when the conversation holds calls of tools.
    """
    tools: list[Document] = []
    for where, tool in objects(doc.get("tools"), "tools"):
        tools += [_tool(tool, where), *cache_points(tool)]
    has_calls = any(block.keys() & TOOL_BLOCKS for turn in turns for block in turn["content"])
    choice = doc.get("tool_choice")
    if has_calls and not tools:
        hint = "Send the same 'tools' with every turn of the conversation."
        raise refused("tools", "is missing though the messages call tools", hint)
    if choice == "none" and has_calls:
        hint = "Bedrock cannot forbid tools in a conversation that uses them: say so in the prompt."
        raise refused("tool_choice", "'none' cannot be honoured by Bedrock", hint)
    if not tools or choice == "none":
        return None
    config: Document = {"tools": tools}
    if choice is not None:
        config["toolChoice"] = _choice(choice)
    return config


def _tool(tool: Document, where: str) -> Document:
    if tool.get("type") != "function":
        hint = "Bedrock's models call functions: describe the tool as one."
        raise refused(f"{where}.type", "is not 'function'", hint)
    place = f"{where}.function"
    function = as_object(tool.get("function"), place)
    schema = function.get("parameters")
    spec: Document = {
        "name": text_field(function, "name", place),
        "inputSchema": {"json": NO_SCHEMA if schema is None else schema},
    }
    if function.get("description"):
        spec["description"] = function["description"]
    if function.get("strict") is True:
        spec["strict"] = True
    return {"toolSpec": spec}


def _choice(choice: Any) -> Document:
    if choice in {"auto", "required"} if isinstance(choice, str) else False:
        return {"auto": {}} if choice == "auto" else {"any": {}}
    if isinstance(choice, dict) and choice.get("type") == "function":
        where = "tool_choice.function"
        function = as_object(choice.get("function"), where)
        return {"tool": {"name": text_field(function, "name", where)}}
    hint = "Use 'none', 'auto', 'required', or name one function."
    raise refused("tool_choice", "cannot be honoured by Bedrock", hint)
