"""Values made for JSON schemas fit them."""

from typing import Any

import pytest

from proxy.providers.mock.schemas import make_instance
from tests.proxy.providers.mock.server import assert_fits

SCHEMAS: dict[str, Any] = {
    "bounds": {"type": "integer", "minimum": -5, "maximum": -2},
    "exclusive": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    "steps": {"type": "integer", "minimum": 10, "maximum": 30, "multipleOf": 7},
    "below zero": {"type": "number", "maximum": -3.5},
    "lengths": {"type": "string", "minLength": 50, "maxLength": 60},
    "short": {"type": "string", "maxLength": 3},
    "format": {"type": "string", "format": "date-time"},
    "nullable": {"type": ["string", "null"]},
    "const": {"const": {"a": [1]}},
    "any": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    "all": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "null"}}, "required": ["b"]},
        ]
    },
    "items": {"type": "array", "minItems": 3, "maxItems": 4, "items": {"type": "boolean"}},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    "untyped": {"properties": {"a": {"items": {"enum": ["x"]}}}, "required": ["a", "b"]},
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "children"],
                "additionalProperties": False,
            }
        },
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("seed", [b"1", b"2", b"3", b"4"])
def test_instance_fits(name: str, seed: bytes) -> None:
    schema = SCHEMAS[name]
    instance = make_instance(schema, seed)
    assert_fits(instance, schema)
    assert instance == make_instance(schema, seed)


def test_endless_schema_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert make_instance(node, b"1")["next"]["next"] is not None
    assert make_instance({"$ref": "#"}, b"1") is not None
