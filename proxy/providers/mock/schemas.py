"""Makes a value that fits a JSON schema; called by tools.py and completions.py.

Covers what structured outputs allow: objects, arrays, enums, const, anyOf, $ref, bounds and the
common string formats. A `pattern` is not solved.
"""

import math
from dataclasses import dataclass
from typing import Any

from proxy.providers.mock.text import draw, make_words

_MAX_DEPTH = 12
_FORMATS = {
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "date-time": "2024-05-17T09:30:00Z",
    "duration": "PT15M",
    "email": "heron@example.com",
    "hostname": "harbor.example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/meadow",
    "uuid": "5f2b7c1e-8a4d-4c3b-9e6f-2d1a0b9c8e7f",
}


@dataclass(frozen=True, slots=True)
class _Maker:
    root: dict[str, Any]
    seed: bytes

    def make(self, schema: Any, path: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return None if depth > _MAX_DEPTH else self._words(path, 2)
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][draw(self.seed, path, len(schema["enum"]))]
        return self._make_kind(schema, path, depth)

    def _make_kind(self, schema: dict[str, Any], path: str, depth: int) -> Any:
        match _kind_of(schema, is_deep=depth > _MAX_DEPTH // 2):
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "integer" | "number" as kind:
                return self._number(schema, path, is_integer=kind == "integer")
            case "boolean":
                return draw(self.seed, path, 2) == 1
            case "null":
                return None
            case _:
                return self._string(schema, path)

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow $ref, merge allOf, and take the first branch of anyOf or oneOf."""
        for _ in range(_MAX_DEPTH):
            if isinstance(schema.get("$ref"), str):
                target = self._lookup(schema["$ref"])
                schema = {**target, **{key: schema[key] for key in schema if key != "$ref"}}
            elif schema.get("allOf"):
                rest = {key: schema[key] for key in schema if key != "allOf"}
                schema = _merge([rest, *(self._resolve(part) for part in schema["allOf"])])
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                rest = {key: schema[key] for key in schema if key not in {"anyOf", "oneOf"}}
                schema = {**rest, **branches[0]}
            else:
                return schema
        return schema

    def _lookup(self, reference: str) -> dict[str, Any]:
        node: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                node = node.get(step.replace("~1", "/").replace("~0", "~"), {})
        return node if isinstance(node, dict) else {}

    def _object(self, schema: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        # Deep down only what is required: a recursive schema must come to an end.
        names = (
            required if depth > 2 else [*properties, *(r for r in required if r not in properties)]
        )
        return {
            name: self.make(properties.get(name, {}), f"{path}.{name}", depth + 1) for name in names
        }

    def _array(self, schema: dict[str, Any], path: str, depth: int) -> list[Any]:
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", max(low, 2))
        wanted = low if depth > 3 else max(low, 1 + draw(self.seed, path, 2))
        items = schema.get("items", {})
        firsts = schema.get("prefixItems") or []
        return [
            self.make(firsts[i] if i < len(firsts) else items, f"{path}[{i}]", depth + 1)
            for i in range(min(high, max(wanted, len(firsts))))
        ]

    def _number(self, schema: dict[str, Any], path: str, *, is_integer: bool) -> int | float:
        low, high = _bounds(schema, is_integer=is_integer)
        step = schema.get("multipleOf") or (1 if is_integer else 0.5)
        first = math.ceil(low / step)
        count = max(1, math.floor(high / step) - first + 1)
        value = (first + draw(self.seed, path, min(count, 100))) * step
        if not low <= value <= high:
            value = low  # no multiple fits: the bound alone is honoured
        return int(value) if is_integer else float(value)

    def _string(self, schema: dict[str, Any], path: str) -> str:
        text = _FORMATS.get(schema.get("format", ""))
        if text is not None:
            return text
        low = schema.get("minLength", 0)
        text = self._words(path, max(2, low // 4 + 1))
        return text[: schema["maxLength"]] if "maxLength" in schema else text

    def _words(self, path: str, count: int) -> str:
        return make_words(self.seed + path.encode(), count).removesuffix(".")


def make_instance(schema: dict[str, Any], seed: bytes) -> Any:
    """Make a JSON value that fits the schema; the same seed makes the same value."""
    return _Maker(schema, seed).make(schema, "$", 0)


def _kind_of(schema: dict[str, Any], *, is_deep: bool) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        if is_deep and "null" in kind:
            return "null"
        return next((name for name in kind if name != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    if kind is None and "items" in schema:
        return "array"
    return str(kind or "string")


def _merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged |= part
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": required} if required else {}
    return merged


def _bounds(schema: dict[str, Any], *, is_integer: bool) -> tuple[float, float]:
    gap = 1 if is_integer else 0.25
    low = schema.get("minimum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + gap
    high = schema.get("maximum")
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - gap
    if low is None:
        low = 0 if high is None or high >= 0 else high - 100
    return low, low + 100 if high is None else high
