"""Located YAML data into a pydantic model; what pydantic finds wrong becomes one ConfigError.

Called by config.operator and by the policies' loader. `describe_model` lists the keys of a model.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from config.errors import ConfigError, suggest
from config.yaml_loading import KeyPath, LocatedDocument, format_path

Model = TypeVar("Model", bound=BaseModel)

MAX_SHOWN = 5

_MAPPING = (
    "must be a mapping of keys to values",
    "write one `key: value` a line, indented below it",
)
_LIST = ("must be a list", "write it in brackets, or one `- item` a line")
_NUMBER = ("must be a number", "write digits without a unit: the key's name ends with the unit")

# Pydantic's error types in the words of someone who writes YAML, and what to do about each.
WORDS: dict[str, tuple[str, str]] = {
    "string_type": ("must be text", "put the value in quotes"),
    "string_pattern_mismatch": (
        "does not look like a name: it must match {pattern}",
        "rename it with the characters that the pattern shows",
    ),
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": _LIST,
    "too_short": ("is empty", "list at least one"),
    "bool_type": ("must be true or false", "write true or false"),
    "bool_parsing": ("must be true or false", "write true or false"),
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": ("must be a whole number", "leave the decimals out"),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "int_parsing_size": _NUMBER,
    "literal_error": ("must be {expected}", "write one of these, as it is spelled here"),
    "greater_than": ("must be more than {gt}", "correct the number"),
    "greater_than_equal": ("must be at least {ge}", "correct the number"),
    "less_than": ("must be less than {lt}", "correct the number"),
    "less_than_equal": ("must be at most {le}", "correct the number"),
    "string_too_short": ("is too short: at least {min_length} characters", "write it out"),
    "string_too_long": ("is too long: at most {max_length} characters", "shorten it"),
}
# What our own validators raise speaks for itself.
OUR_TYPES = {"apex", "value_error"}


def validate(
    model: type[Model], document: LocatedDocument, context: Mapping[str, Any] | None = None
) -> Model:
    """The document as `model`; ConfigError with file:line, key path and a hint, never a value."""
    return validate_part(model, document.data, document, (), context)


def validate_part(
    model: type[Model],
    data: Any,
    document: LocatedDocument,
    place: KeyPath,
    context: Mapping[str, Any] | None = None,
) -> Model:
    """As `validate`, for the part of the document at `place`, given as `data`."""
    try:
        return model.model_validate(data, context=dict(context or {}))
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Outside the except block: pydantic's own error quotes the input, which may hold secrets.
    raise _explain(_Part(model, document, place), details)


def refuse_at(document: LocatedDocument, path: KeyPath, message: str, hint: str) -> ConfigError:
    """The ConfigError of what stands at `path`: file:line, key path, message."""
    shown = f"{format_path(path)}: " if path else ""
    return ConfigError(f"{document.locate(path)}: {shown}{message}", hint)


def describe_model(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
    """(dotted key, default, meaning) of every key, inner models right after their parent."""
    return list(_describe(model, prefix))


@dataclass(frozen=True, slots=True)
class _Part:
    """What was validated, and where it stands in its document."""

    model: type[BaseModel]
    document: LocatedDocument
    place: KeyPath


def _explain(part: _Part, details: list[ErrorDetails]) -> ConfigError:
    problems: dict[KeyPath, tuple[str, str]] = {}
    # A list with a bad item counts as too short as well: only the item is worth a word.
    empty = [detail for detail in details if detail["type"] == "too_short"]
    others = [detail for detail in details if detail["type"] != "too_short"]
    for detail in others or empty:
        # A union's branches and pydantic's own markers are in its path but not in the file.
        is_about_key = detail["type"] in {"missing", "extra_forbidden"}
        path = (*part.place, *detail["loc"])
        path = path if is_about_key else part.document.find_path(path)
        problems.setdefault(path, _explain_one(part, path, detail))
    if len(problems) == 1:
        return ConfigError(*next(iter(problems.values())))
    shown = [f"{text} ({hint})" for text, hint in problems.values()]
    if len(shown) > MAX_SHOWN:
        shown[MAX_SHOWN:] = [f"and {len(shown) - MAX_SHOWN} more"]
    return ConfigError("\n".join(shown), "correct these and start again")


def _explain_one(part: _Part, path: KeyPath, detail: ErrorDetails) -> tuple[str, str]:
    where, shown = part.document.locate(path), format_path(path)
    if detail["type"] == "missing":
        return f"{where}: {shown} is missing", f"add the key {path[-1]}"
    if detail["type"] == "extra_forbidden":
        known = _keys_of(part.model, detail["loc"][:-1])
        return f"{where}: unknown key {shown}", suggest(str(path[-1]), known)
    context = detail.get("ctx", {})
    if detail["type"] in WORDS:
        message, hint = WORDS[detail["type"]]
        return f"{where}: {shown}: {message.format_map(context)}", hint
    message = str(context.get("error", detail["msg"]))
    if detail["type"] not in OUR_TYPES:
        message = "has a value that cannot stand here"
    return f"{where}: {shown}: {message}", str(context.get("hint", "correct the value"))


def _keys_of(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that may stand in the mapping at `path`; none where the model cannot be followed."""
    current: Any = model
    for part in path:
        if _is_model(current):
            info = current.model_fields.get(str(part))
            current = _inner(info.annotation) if info else None
        else:
            current = _inner(_item_of(current))
    return list(current.model_fields) if _is_model(current) else []


def _describe(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, info in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key, _default_of(info), info.description or ""
        suffix, inner = _descend(_inner(info.annotation))
        if inner is not None:
            yield from _describe(inner, f"{key}{suffix}.")


def _descend(annotation: Any) -> tuple[str, type[BaseModel] | None]:
    """The model within a field's type, and how a key path writes the step into it."""
    suffix = {dict: ".<name>", tuple: "[]"}.get(get_origin(annotation), "")
    inner = _inner(_item_of(annotation)) if suffix else annotation
    return suffix, inner if _is_model(inner) else None


def _default_of(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel) or default in ({}, ()):
        return "-"
    if isinstance(default, bool) or default is None:
        return str(default).lower()
    return ", ".join(default) if isinstance(default, tuple) else str(default)


def _inner(annotation: Any) -> Any:
    """Unwraps Annotated and Optional."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        return _inner(members[0]) if len(members) == 1 else annotation
    return annotation


def _item_of(annotation: Any) -> Any:
    """What a dict or a tuple of one kind holds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    return {dict: arguments[-1:], tuple: arguments[:1]}.get(origin, (None,))[0]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
