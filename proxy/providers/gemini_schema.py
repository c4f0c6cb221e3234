"""Says a caller's JSON schema in the keywords Gemini knows; for gemini_tools.py, gemini_config.py.

The list is that of `responseJsonSchema` and `parametersJsonSchema` in Google's API reference. A
keyword outside it is refused by the API, so it moves into the description, where the model reads
it. The schema's own dialect, its examples and its comments say nothing about the answer and go.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.translation import UntranslatableError

DEEPEST = 64
_SAID_AS_IT_IS = frozenset({
    "$ref", "$anchor", "type", "format", "title", "description", "enum", "minItems", "maxItems",
    "minimum", "maximum", "required", "propertyOrdering",
})  # fmt: skip
_WITHOUT_MEANING = frozenset({
    "$schema", "$id", "$comment", "$vocabulary", "examples", "example", "deprecated", "readOnly",
    "writeOnly", "discriminator", "externalDocs", "xml",
})  # fmt: skip
_OF_SCHEMAS_BY_NAME = {"properties": "properties", "$defs": "$defs", "definitions": "$defs"}
_OF_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "prefixItems"})


def gemini_schema(schema: Any, param: str) -> Any:
    """Return the schema in Gemini's keywords; `param` names it in errors.

    Raises UntranslatableError when it is no schema or is nested deeper than DEEPEST.
    """
    try:
        cleaned = _clean(schema, param, 0)
        orjson.dumps([[[[cleaned]]]])
    except orjson.JSONEncodeError as error:
        raise _refused(param) from error
    return cleaned


def _clean(schema: Any, param: str, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        raise _refused(param)
    cleaned: dict[str, Any] = {}
    notes: list[str] = []
    for keyword, value in _flattened(schema).items():
        if not _say(cleaned, keyword, value, (param, depth + 1)) and value is not None:
            notes.append(f"{keyword}: {orjson.dumps(value).decode()}")
    if notes:
        known = cleaned.get("description")
        cleaned["description"] = f"{known + ' ' if known else ''}({'; '.join(notes)})"
    return cleaned


def _flattened(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Merge an allOf of one, as generators describe a reference, and OpenAPI's `nullable`."""
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        schema = {**parts[0], **{name: value for name, value in schema.items() if name != "allOf"}}
    if "nullable" in schema:
        rest = {name: value for name, value in schema.items() if name != "nullable"}
        kind = schema.get("type")
        is_widened = schema["nullable"] is True and isinstance(kind, str)
        schema = {**rest, "type": [kind, "null"]} if is_widened else rest
    return schema


def _say(cleaned: dict[str, Any], keyword: str, value: Any, place: tuple[str, int]) -> bool:
    """Write one keyword; False when Gemini has no word for it."""
    param, depth = place
    if keyword in _OF_SCHEMAS_BY_NAME and isinstance(value, Mapping):
        named = {name: _clean(inner, param, depth) for name, inner in value.items()}
        cleaned.setdefault(_OF_SCHEMAS_BY_NAME[keyword], {}).update(named)
    elif keyword in _OF_SCHEMA_LISTS and isinstance(value, list):
        cleaned[keyword] = [_clean(inner, param, depth) for inner in value]
    elif keyword in {"items", "additionalProperties"}:
        cleaned[keyword] = _clean(value, param, depth)
    elif keyword == "$ref" and isinstance(value, str):
        cleaned[keyword] = value.replace("#/definitions/", "#/$defs/", 1)
    elif keyword in _SAID_AS_IT_IS:
        cleaned[keyword] = value
    elif keyword == "const":
        cleaned["enum"] = [value]
    else:
        return keyword in _WITHOUT_MEANING
    return True


def _refused(param: str) -> UntranslatableError:
    message = f"'{param}' is not a JSON schema of at most {DEEPEST} levels."
    hint = "Send a JSON schema object; share repeated parts by $defs and $ref."
    return UntranslatableError(message, hint, param=param)
