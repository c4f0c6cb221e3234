"""JSON schemas in Gemini's keywords: what stays, what becomes words, what is refused."""

from typing import Any

import pytest

from proxy.providers.gemini_schema import DEEPEST, gemini_schema
from proxy.providers.translation import UntranslatableError


@pytest.mark.parametrize(
    ("schema", "cleaned"),
    [
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"const": 3}, {"enum": [3]}),
        ({"$schema": "x", "examples": [1], "type": "integer"}, {"type": "integer"}),
        ({"nullable": True, "type": "string"}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        (
            {"allOf": [{"$ref": "#/definitions/A"}], "title": "T"},
            {"$ref": "#/$defs/A", "title": "T"},
        ),
        ({"definitions": {"A": {"type": "null"}}}, {"$defs": {"A": {"type": "null"}}}),
        (
            {"items": True, "additionalProperties": False},
            {"items": True, "additionalProperties": False},
        ),
        (
            {"type": "string", "description": "A word", "pattern": "^a", "maxLength": 3},
            {"type": "string", "description": 'A word (pattern: "^a"; maxLength: 3)'},
        ),
        (
            {"properties": {"pattern": {"type": "string"}}},
            {"properties": {"pattern": {"type": "string"}}},
        ),
        (
            {"oneOf": [{"not": {"type": "null"}}]},
            {"oneOf": [{"description": '(not: {"type":"null"})'}]},
        ),
    ],
)
def test_cleaned(schema: Any, cleaned: Any) -> None:
    before = repr(schema)
    assert gemini_schema(schema, "schema") == cleaned
    assert repr(schema) == before


@pytest.mark.parametrize("schema", [None, "string", [], {"properties": {"a": 1}}, {"items": []}])
def test_what_is_no_schema(schema: Any) -> None:
    with pytest.raises(UntranslatableError, match="'where' is not a JSON schema"):
        gemini_schema(schema, "where")


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"items": inner}
    return inner


def test_depth_is_bounded() -> None:
    assert gemini_schema(nested(DEEPEST, {}), "s") == nested(DEEPEST, {})
    with pytest.raises(UntranslatableError, match="levels"):
        gemini_schema(nested(DEEPEST + 1, {}), "s")
    with pytest.raises(UntranslatableError, match="levels"):
        gemini_schema({"enum": nested(400, 1)}, "s")
    with pytest.raises(UntranslatableError, match="levels"):
        gemini_schema({"default": nested(400, 1)}, "s")
