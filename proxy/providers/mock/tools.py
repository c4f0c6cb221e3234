"""Decides which tools an answer calls and with which arguments; called by completions.py."""

from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.errors import missing, wrong_type, wrong_value
from proxy.providers.mock.schemas import make_instance
from proxy.providers.mock.text import count_tokens, digest_of, first_tokens
from proxy.providers.mock.validation import content_parts


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: its arguments are JSON text, cut short when the token limit fell inside it."""

    id: str
    name: str
    arguments: str

    def count_tokens(self) -> int:
        return count_tokens(self.name) + count_tokens(self.arguments)

    def document(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}

    def cut(self, tokens: int) -> "ToolCall":
        """Keep the name and what of the arguments fits into the tokens."""
        room = max(0, tokens - count_tokens(self.name))
        return ToolCall(self.id, self.name, first_tokens(self.arguments, room))


def read_functions(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read the callable functions by name; refuses tools and choices that are malformed."""
    functions: dict[str, dict[str, Any]] = {}
    for index, tool in enumerate(document.get("tools") or []):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(where, "an object", tool)
        if tool.get("type") not in {"function", "custom"}:
            raise wrong_value(f"{where}.type", "expected 'function' or 'custom'.")
        if tool["type"] == "function":
            function = _read_function(f"{where}.function", tool.get("function"))
            functions[function["name"]] = function
    _check_choice(document.get("tool_choice"), functions)
    return functions


def _read_function(where: str, function: Any) -> dict[str, Any]:
    if not isinstance(function, dict):
        raise missing(where)
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise missing(f"{where}.name")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise wrong_type(f"{where}.parameters", "an object", parameters)
    return function


def _check_choice(choice: Any, functions: dict[str, dict[str, Any]]) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in {"none", "auto", "required"}:
            raise wrong_value("tool_choice", "expected 'none', 'auto', 'required' or an object.")
        if choice == "required" and not functions:
            raise wrong_value("tool_choice", "it is only allowed when 'tools' are given.")
        return
    named = _named_function(choice)
    if named is not None and named not in functions:
        raise wrong_value("tool_choice", f"the function '{named}' is not among the 'tools'.")


def _named_function(choice: dict[str, Any]) -> str | None:
    function = choice.get("function")
    return function.get("name") if isinstance(function, dict) else None


def choose_calls(
    document: dict[str, Any], functions: dict[str, dict[str, Any]], seed: bytes
) -> list[ToolCall]:
    """Choose the calls of one answer: empty when the answer is a text."""
    names = _choose_names(document, list(functions))
    if document.get("parallel_tool_calls") is False:
        names = names[:1]
    return [_make_call(functions[name], digest_of(seed, name.encode())) for name in names]


def _choose_names(document: dict[str, Any], names: list[str]) -> list[str]:
    choice = document.get("tool_choice")
    if choice == "none" or not names:
        return []
    if isinstance(choice, dict) and (named := _named_function(choice)) is not None:
        return [named]
    last = document["messages"][-1]
    asked = [name for name in names if last["role"] == "user" and _mentions(last, name)]
    return asked or (names[:1] if choice == "required" else [])


def _mentions(message: dict[str, Any], name: str) -> bool:
    return any(name in str(part.get("text", "")) for part in content_parts(message))


def _make_call(function: dict[str, Any], seed: bytes) -> ToolCall:
    arguments = make_instance(function.get("parameters") or {"type": "object"}, seed)
    text = orjson.dumps(arguments).decode()
    return ToolCall(f"call_{seed.hex()[:24]}", function["name"], text)
