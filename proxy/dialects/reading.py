"""Checked reading of a request's fields, for all dialects; called by the dialects' own files.

Only what we must read is checked, so that a parameter a provider adds tomorrow works today.
"""

from typing import Any, NamedTuple

from proxy.errors import InvalidRequestError

LARGEST_COUNT = 2**31 - 1  # what providers read as "no bound"; more would not fit the usage log


class Asked(NamedTuple):
    """What every stage must know of a request, in whatever dialect it was put."""

    is_streaming: bool = False
    asked_usage: bool = False
    max_output_tokens: int = 0  # 0: no bound given
    choices_n: int = 1


def model_of(doc: dict[str, Any]) -> str:
    """Return the model a body names; raises InvalidRequestError."""
    model = doc.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError(
            "The field model is missing or not a string.",
            "Name a model, for example one of GET /v1/models.",
            param="model",
        )
    return model


def flag(doc: dict[str, Any], name: str) -> bool:
    """Read true, false or nothing; raises InvalidRequestError."""
    value = doc.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(
            f"The field {name} must be true or false.", f'Send "{name}": true.', param=name
        )
    return value is True


def count(doc: dict[str, Any], name: str, default: int) -> int:
    """Read a whole number from 1 on; raises InvalidRequestError."""
    value = doc.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_COUNT:
        raise InvalidRequestError(
            f"The field {name} must be a whole number from 1 to {LARGEST_COUNT}.",
            f"Send such a number, or leave {name} out.",
            param=name,
        )
    return value


def optional_text(doc: dict[str, Any], name: str) -> None:
    """Whom a call is for decides who may share its answer: it must be text, or absent."""
    if not isinstance(doc.get(name, ""), str | None):
        raise InvalidRequestError(
            f"The field {name} must be a string.", f"Send {name} as text.", param=name
        )


def optional_object(doc: dict[str, Any], name: str) -> dict[str, Any]:
    """Read an object or nothing; raises InvalidRequestError."""
    value = doc.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequestError(
            f"The field {name} must be an object.", f"Leave {name} out if unsure.", param=name
        )
    return value


def message_list(doc: dict[str, Any], name: str = "messages", *, roles: bool = True) -> None:
    """Check a non-empty list of objects, each with a role; raises InvalidRequestError."""
    messages = doc.get(name)
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError(
            f"The field {name} must be a non-empty list.",
            'Send [{"role": "user", "content": "..."}].',
            param=name,
        )
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or (roles and not isinstance(message.get("role"), str)):
            raise InvalidRequestError(
                f"{name}[{place}] must be an object with a role.",
                'Send {"role": "user", "content": "..."}.',
                param=f"{name}[{place}]",
            )


def text_or_list(doc: dict[str, Any], name: str, what: str) -> None:
    """Check a non-empty string or list; raises InvalidRequestError."""
    value = doc.get(name)
    if not isinstance(value, (str, list)) or not value:
        raise InvalidRequestError(
            f"The field {name} must be a non-empty string or list.", f"Send {what}.", param=name
        )
