"""The OpenAPI document says what the routes check."""

import json
import re

import pytest
from jsonschema_rs import meta

from admin_api.app import RESOURCES
from admin_api.calls import Route
from admin_api.openapi import describe_api, operation_id, path_of

DOCUMENT = describe_api(RESOURCES)


def operation_of(route: Route) -> dict[str, object]:
    found: dict[str, object] = DOCUMENT["paths"][path_of(route.path)][route.method.lower()]
    return found


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    names = re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(DOCUMENT))
    schemas = DOCUMENT["components"]["schemas"]
    assert names
    assert set(names) <= set(schemas)
    for schema in schemas.values():
        meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_operations_have_names_of_their_own() -> None:
    names = [operation_id(route) for route in RESOURCES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("route", RESOURCES, ids=operation_id)
def test_what_a_route_takes_is_described(route: Route) -> None:
    operation = operation_of(route)
    parameters = operation["parameters"]
    assert isinstance(parameters, list)
    named = {(each["in"], each["name"]) for each in parameters}
    fields = route.query.model_fields.items()
    assert {("query", field.alias or name) for name, field in fields} <= named
    assert {("path", name) for name in re.findall(r"\{(\w+)", route.path)} <= named
    assert (("header", "Idempotency-Key") in named) is (route.method == "POST")
    assert (("header", "If-Match") in named) is (route.method in {"PATCH", "PUT", "DELETE"})
    assert ("requestBody" in operation) is (route.body is not None)
    responses = operation["responses"]
    assert isinstance(responses, dict)
    assert {"401", "403", "404", "422", "503", "2XX"} <= set(responses)
