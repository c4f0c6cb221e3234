"""Reads fields of a chat request for Bedrock, refusing what is not what it should be.

Called by the bedrock_*.py files that build a request.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.providers.translation import Document, UntranslatableError

# Field -> (values that ask for nothing, what to do instead)
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "Send the request several times."),
    "logprobs": ((False,), "Bedrock gives no log probabilities; use another upstream."),
    "top_logprobs": ((0,), "Bedrock gives no log probabilities; use another upstream."),
    "logit_bias": (({},), "Leave it out, or use another upstream."),
    "frequency_penalty": ((0,), "Leave it out, or use another upstream."),
    "presence_penalty": ((0,), "Leave it out, or use another upstream."),
    "audio": ((), "Models on Bedrock answer in text; leave it out."),
    "modalities": ((["text"], []), "Models on Bedrock answer in text; use ['text']."),
    "functions": (([],), "Use 'tools'."),
    "function_call": (("auto", "none"), "Use 'tool_choice'."),
    "web_search_options": ((), "Leave it out, or use another upstream."),
}


def check_fields(doc: Mapping[str, Any]) -> None:
    """Raise UntranslatableError for the first field Bedrock cannot honour."""
    for name, (neutral, hint) in REFUSED.items():
        value = doc.get(name)
        if value is not None and value not in neutral:
            raise refused(name, "cannot be honoured by Bedrock", hint)


def refused(param: str, why: str, hint: str) -> UntranslatableError:
    return UntranslatableError(f"'{param}' {why}.", hint, param=param)


def as_object(value: Any, where: str) -> Document:
    """Return the value, refused unless it is an object."""
    if not isinstance(value, dict):
        raise refused(where, "is not an object", "See the API reference of chat completions.")
    return value


def objects(value: Any, where: str) -> Iterator[tuple[str, Document]]:
    """Yield each object of an array with its place; null is an empty array."""
    if value is None:
        return
    if not isinstance(value, list):
        raise refused(where, "is not an array", "See the API reference of chat completions.")
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        yield place, as_object(item, place)


def text_field(parent: Mapping[str, Any], name: str, where: str) -> str:
    """Return a field that must be a text."""
    value = parent.get(name)
    if not isinstance(value, str):
        hint = "See the API reference of chat completions."
        raise refused(f"{where}.{name}", "is missing or no text", hint)
    return value
