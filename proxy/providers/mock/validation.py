"""Reads a request body as the real API would: typed, bounded, refused with OpenAI's errors.

Called by chat.py and embeddings.py. Unknown fields pass: a gateway in front must not lose them,
and a provider adds new ones every month.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.errors import MockError, missing, wrong_type, wrong_value

ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Field:
    """One optional parameter: its JSON types and, for numbers, its bounds (both included)."""

    name: str
    types: tuple[type, ...]
    expected: str
    low: float | None = None
    high: float | None = None


_NUMBER = (int, float)
CHAT_FIELDS = (
    Field("temperature", _NUMBER, "a decimal number", 0, 2),
    Field("top_p", _NUMBER, "a decimal number", 0, 1),
    Field("presence_penalty", _NUMBER, "a decimal number", -2, 2),
    Field("frequency_penalty", _NUMBER, "a decimal number", -2, 2),
    Field("n", (int,), "an integer", 1, 128),
    Field("max_tokens", (int,), "an integer", 1),
    Field("max_completion_tokens", (int,), "an integer", 1),
    Field("seed", (int,), "an integer"),
    Field("top_logprobs", (int,), "an integer", 0, 20),
    Field("logprobs", (bool,), "a boolean"),
    Field("stream", (bool,), "a boolean"),
    Field("store", (bool,), "a boolean"),
    Field("parallel_tool_calls", (bool,), "a boolean"),
    Field("stream_options", (dict,), "an object"),
    Field("response_format", (dict,), "an object"),
    Field("logit_bias", (dict,), "an object"),
    Field("metadata", (dict,), "an object"),
    Field("tools", (list,), "an array"),
    Field("tool_choice", (str, dict), "a string or an object"),
    Field("stop", (str, list), "a string or an array of strings"),
    Field("user", (str,), "a string"),
    Field("service_tier", (str,), "a string"),
    Field("reasoning_effort", (str,), "a string"),
)
EMBEDDING_FIELDS = (
    Field("dimensions", (int,), "an integer", 1),
    Field("encoding_format", (str,), "a string"),
    Field("user", (str,), "a string"),
)


def parse_body(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MockError(f"The request body is not valid JSON ({error}).") from error
    if not isinstance(document, dict):
        raise MockError("The request body must be a JSON object.")
    return document


def read_model(document: dict[str, Any]) -> str:
    model = document.get("model")
    if model is None or model == "":
        raise MockError("Missing required parameter: 'model' names the model to use.")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    return model


def check_fields(document: dict[str, Any], fields: tuple[Field, ...]) -> None:
    """Check every declared field that is present and not null."""
    for field in fields:
        value = document.get(field.name)
        if value is not None:
            _check_field(field, value)


def _check_field(field: Field, value: Any) -> None:
    # In JSON true is no number, though in Python it is an int.
    is_stray_bool = isinstance(value, bool) and bool not in field.types
    if is_stray_bool or not isinstance(value, field.types):
        raise wrong_type(field.name, field.expected, value)
    if isinstance(value, int | float):
        _check_bounds(field, value)


def _check_bounds(field: Field, value: float) -> None:
    if field.low is not None and value < field.low:
        raise wrong_value(field.name, f"expected a value >= {field.low:g}, but got {value:g}.")
    if field.high is not None and value > field.high:
        raise wrong_value(field.name, f"expected a value <= {field.high:g}, but got {value:g}.")


def read_messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    messages = document.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise wrong_value("messages", "expected at least one message, but got an empty array.")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message)
    return messages


def _check_message(where: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    role = message.get("role")
    if role is None:
        raise missing(f"{where}.role")
    if role not in ROLES:
        raise wrong_value(f"{where}.role", f"expected one of {', '.join(sorted(ROLES))}.")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise missing(f"{where}.tool_call_id")
    _check_content(f"{where}.content", message)


def _check_content(where: str, message: dict[str, Any]) -> None:
    content = message.get("content")
    if content is None:
        if message["role"] != "assistant":
            raise missing(where)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if not isinstance(part, dict):
                raise wrong_type(f"{where}[{index}]", "an object", part)
            if not isinstance(part.get("type"), str):
                raise missing(f"{where}[{index}].type")
    elif not isinstance(content, str):
        raise wrong_type(where, "a string or an array of content parts", content)


def content_parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a checked message's content as parts, a plain string as one text part."""
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from content


def read_stop(document: dict[str, Any]) -> tuple[str, ...]:
    stop = document.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if len(stops) > 4:
        raise wrong_value("stop", "expected at most 4 sequences.")
    for sequence in stops:
        if not isinstance(sequence, str):
            raise wrong_type("stop", "a string or an array of strings", sequence)
    return tuple(sequence for sequence in stops if sequence)
