"""Writes of /admin/v1/models: public model names and who serves them, for all tenants.

Prices are set at /admin/v1/prices; a tenant's own models are those its own upstreams list.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change, check_version
from admin_api.declared_rows import name_taken, not_found
from admin_api.errors import AdminError
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment, changed_meanwhile, refuse_if_declared
from config.errors import suggest
from config.operator_model import ModelName
from policies.document_store import (
    MODELS,
    UPSTREAMS,
    Row,
    delete_document,
    find_document,
    insert_document,
    read_documents,
    replace_document,
)

MOST_TARGETS = 32


class ModelTarget(Strict):
    """One way to serve a model."""

    upstream: str = Field(max_length=64, description="Name of an upstream that serves all tenants.")
    model: ModelName | None = Field(
        default=None, description="The upstream's own name of the model; left out: the same."
    )


class ModelChange(Strict):
    """Who serves a model."""

    upstreams: tuple[ModelTarget, ...] = Field(
        min_length=1, max_length=MOST_TARGETS, description="In order of preference."
    )


class NewModel(ModelChange):
    """A public model to be declared."""

    name: ModelName


class StoredModel(BaseModel):
    """A declared model as it is stored."""

    name: str
    upstreams: list[dict[str, Any]]
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None


async def make(call: Call) -> Answer:
    body: NewModel = call.body
    try:
        async with change(call, "model.create", f"models/{body.name}") as under_way:
            await check_upstreams(under_way.connection, body)
            now = call.context.clock.now()
            values = document_of(body)
            await insert_document(under_way.connection, MODELS, (body.name,), values, now)
            row = await find_document(under_way.connection, MODELS, (body.name,))
            assert row is not None
            made = model_of(row)
            under_way.after = made.model_dump(mode="json")
    except IntegrityError as error:
        raise name_taken("model", body.name) from error
    return Answer(made, status=201, version=made.version)


async def replace(call: Call) -> Answer:
    name = call.path["model"]
    async with change(call, "model.update", f"models/{name[:200]}") as under_way:
        row = await _row_to_change(call, under_way.connection)
        await check_upstreams(under_way.connection, call.body)
        values, now = document_of(call.body), call.context.clock.now()
        if not await replace_document(under_way.connection, MODELS, row, values, now):
            raise changed_meanwhile()
        changed = await find_document(under_way.connection, MODELS, (name,))
        assert changed is not None
        under_way.before = model_of(row).model_dump(mode="json")
        under_way.after = model_of(changed).model_dump(mode="json")
    return Answer(model_of(changed), version=changed["version"])


async def remove(call: Call) -> Answer:
    name = call.path["model"]
    async with change(call, "model.delete", f"models/{name[:200]}") as under_way:
        row = await _row_to_change(call, under_way.connection)
        if not await delete_document(under_way.connection, MODELS, row):
            raise changed_meanwhile()
        under_way.before = model_of(row).model_dump(mode="json")
    return Answer(status=204)


async def _row_to_change(call: Call, connection: Any) -> Row:
    row = await find_document(connection, MODELS, (call.path["model"],))
    if row is None:
        raise not_found("model", call.path["model"])
    refuse_if_declared(row)
    check_version(call, row["version"])
    return row


async def check_upstreams(connection: Any, body: ModelChange) -> None:
    """Refuse upstreams that do not exist, or are one tenant's. AdminError 422."""
    rows = await read_documents(connection, UPSTREAMS)
    known = {row["name"] for row in rows if not row["tenant"]}
    for target in body.upstreams:
        if target.upstream not in known:
            message = f"there is no upstream {target.upstream!r} for all tenants"
            raise AdminError(422, "unknown_upstream", message, suggest(target.upstream, known))


def document_of(body: ModelChange) -> dict[str, Any]:
    return {"document": {"upstreams": [each.model_dump() for each in body.upstreams]}}


def model_of(row: Row) -> StoredModel:
    upstreams = [
        {"upstream": each["upstream"], "model": each.get("model")}
        for each in row["document"]["upstreams"]
    ]
    names = ("name", "managed_by", "version", "created_at", "updated_at")
    return StoredModel(upstreams=upstreams, **{name: row[name] for name in names})


P = Permission
ROUTES = (
    Route("POST", "/admin/v1/models", make, P.operate, "Declare a public model",
          body=NewModel, answer=StoredModel),
    Route("PUT", "/admin/v1/models/{model:.+}", replace, P.operate, "Say anew who serves a model",
          body=ModelChange, answer=StoredModel),
    Route("DELETE", "/admin/v1/models/{model:.+}", remove, P.operate, "Remove a declared model"),
)  # fmt: skip
