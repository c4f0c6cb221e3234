"""Reads hostile documents without surprises: what is not of the expected shape is refused by name.

Called by both translations between chat completions and Anthropic's Messages.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.translation import Document, UntranslatableError

# Text with fewer brackets than this cannot nest deeper than JSON can be written.
HARMLESS_OPENERS = 200


def refused(param: str, what: str, hint: str) -> UntranslatableError:
    """Make the error for a field that the other dialect cannot say."""
    return UntranslatableError(f"'{param}' {what}.", hint, param=param)


def as_list(value: Any, param: str) -> list[Any]:
    """Return a list as it is and nothing as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(param, "must be an array", "Send a JSON array.")
    return value


def as_object(value: Any, param: str) -> dict[str, Any]:
    """Return an object as it is and nothing as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused(param, "must be an object", "Send a JSON object.")
    return value


def as_text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise refused(param, "must be a string", "Send a JSON string.")
    return value


def objects(value: Any, param: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of a list, each with the name of its place."""
    return [
        (f"{param}[{index}]", as_object(item, f"{param}[{index}]"))
        for index, item in enumerate(as_list(value, param))
    ]


def text_or_empty(value: object) -> str:
    """Return a string of a provider's answer, "" for anything else."""
    return value if isinstance(value, str) else ""


def text_field(value: Mapping[str, Any], name: str, where: str) -> str:
    return as_text(value.get(name), f"{where}.{name}")


def parse_arguments(text: Any, where: str) -> Document:
    """Parse the arguments of a tool call; no text means no arguments."""
    if not isinstance(text, str):
        raise refused(
            where, "must be a string of JSON", "Send the arguments as the model wrote them."
        )
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refused(where, "is not valid JSON", "Send the arguments as the model did.") from error
    if text.count("{") + text.count("[") > HARMLESS_OPENERS:
        dump_arguments([[[[[[[[value]]]]]]]], where)  # as deep as it will stand in a request
    return as_object(value, where)


def dump_arguments(value: Any, where: str) -> str:
    """Write the arguments of a tool call; refused when no writer could nest them that deep."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise refused(where, "is nested too deep", "Send flatter arguments.") from error
