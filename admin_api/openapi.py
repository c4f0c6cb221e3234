"""OpenAPI 3.1 of the admin API, made from its routes and their models. Used by routes/docs.py."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from admin_api.calls import Route
from admin_api.errors import PROBLEM_TYPE

VERSION = "1"
_REFERENCE = "#/components/schemas/{model}"
_PATTERN = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
_WRITING = ("PATCH", "PUT", "DELETE")
_FAULTS = {
    400: "The request is malformed.",
    401: "No credential was sent, or none that is good.",
    403: "The caller's role does not allow this.",
    404: "There is no such thing, or none that the caller may see.",
    409: "What is there does not allow this now.",
    412: "It was changed since the version If-Match names.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field or a parameter is wrong or unknown; the detail names each.",
    503: "A store is away; repeat the call after Retry-After seconds.",
}
_WITH_BODY = (413, 415)
_WHY = {
    "name": "X-Apex-Why", "in": "header", "required": False,
    "description": "Why; kept in the audit log.", "schema": {"type": "string", "maxLength": 500},
}  # fmt: skip
_ONCE = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "Sent again with the same body within a day, it gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip
_IF_MATCH = {
    "name": "If-Match", "in": "header", "required": False,
    "description": "The ETag that was seen: another version is 412.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
}  # fmt: skip
_ETAG = {"description": "The version, for If-Match.", "schema": {"type": "string"}}
_REPLAYED = {
    "description": "true: the answer of the first call with this Idempotency-Key.",
    "schema": {"type": "string", "enum": ["true"]},
}


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str


class _Schemas(NamedTuple):
    """JSON Schemas by model and by whether it is read or written, and what they refer to."""

    by_model: Mapping[Any, dict[str, Any]]
    definitions: dict[str, Any]

    def read(self, model: type[BaseModel]) -> dict[str, Any]:
        return self.by_model[model, "validation"]

    def written(self, model: type[BaseModel]) -> dict[str, Any]:
        return self.by_model[model, "serialization"]


def describe_api(routes: Sequence[Route]) -> dict[str, Any]:
    """The document; JSON values only."""
    schemas = _collect_schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(path_of(route.path), {})
        operations[route.method.lower()] = _describe(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Netra Apex admin API",
            "version": VERSION,
            "description": "Steers the gateway. Errors are problem documents with a hint.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def path_of(pattern: str) -> str:
    """A route's path as OpenAPI writes it: without the expressions of its parameters."""
    return _PATTERN.sub(r"{\1}", pattern)


def operation_id(route: Route) -> str:
    """Such as tenants_list_all: the module of the handler, its name, and whose thing it is."""
    whose = "_of_tenant" if "{tenant}/" in route.path else ""
    return f"{_tag_of(route)}_{route.handler.__name__}{whose}"


def _tag_of(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _collect_schemas(routes: Sequence[Route]) -> _Schemas:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        wanted[route.query, "validation"] = None
        if route.body is not None:
            wanted[route.body, "validation"] = None
        if route.answer is not None:
            wanted[route.answer, "serialization"] = None
    by_model, document = models_json_schema(list(wanted), ref_template=_REFERENCE)
    return _Schemas(by_model, document.get("$defs", {}))


def _describe(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [_tag_of(route)],
        "summary": route.summary,
        "description": f"Permission: `{route.permission.value}`.",
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas)],
        "responses": {**_good_answer(route, schemas), **_faults(route, schemas)},
    }
    if route.method == "POST":
        operation["parameters"] += [_ONCE, _WHY]
    if route.method in _WRITING:
        operation["parameters"] += [_IF_MATCH, _WHY]
    if route.body is not None:
        content = {"application/json": {"schema": schemas.read(route.body)}}
        operation["requestBody"] = {"required": not route.is_body_optional, "content": content}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in _PATTERN.findall(route.path)
    ]


def _query_parameters(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    reference = schemas.read(route.query)["$ref"].rpartition("/")[2]
    model = schemas.definitions[reference]
    required = model.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"description": schema["description"]} if "description" in schema else {}),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in model.get("properties", {}).items()
    ]


def _good_answer(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if route.answer is None:
        return {"2XX": {"description": "Done."}}
    answer: dict[str, Any] = {
        "description": route.summary,
        "headers": {"ETag": _ETAG},
        "content": {route.media_type: {"schema": schemas.written(route.answer)}},
    }
    if route.media_type != "application/json":
        answer["description"] += ": one such document a line."
    if route.method == "POST":
        answer["headers"]["Idempotency-Replayed"] = _REPLAYED
    return {"2XX": answer}


def _faults(route: Route, schemas: _Schemas) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": schemas.written(Problem)}}
    return {
        str(status): {"description": meaning, "content": content}
        for status, meaning in _FAULTS.items()
        if status not in _WITH_BODY or route.body is not None
    }
