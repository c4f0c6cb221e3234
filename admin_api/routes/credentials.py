"""/admin/v1/credentials and /admin/v1/tenants/{tenant}/credentials: keys at providers.

A secret goes in and never comes out: what is shown is where it may be sent, its last four
characters and its moments.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change, check_version
from admin_api.declared_rows import check_tenant, name_taken, not_found, refuse_more_than
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment, changed_meanwhile
from config.provider_hosts import default_host, needs_host
from config.provider_kinds import KNOWN_KINDS
from policies.credential_store import (
    DataKeyRaceError,
    Row,
    count_credentials,
    delete_credential,
    find_bound,
    find_credential,
    insert_credential,
    list_credentials,
    replace_secret,
)
from policies.upstream_documents import SMALL_NAME

HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[1-9][0-9]{0,4})?")

MOST_CREDENTIALS = 100  # of a tenant


def _check_secret(value: str) -> str:
    # The text of the error never quotes the value.
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a key is one word of plain ASCII: check for quotes or line breaks")
    return value


Secret = Annotated[str, Field(min_length=8, max_length=8192), AfterValidator(_check_secret)]


class NewSecret(Strict):
    """A secret that takes the place of another."""

    secret: Secret = Field(repr=False, description="The provider's key; never shown again.")


class NewCredential(NewSecret):
    """A credential to be kept."""

    name: str = Field(pattern=SMALL_NAME)
    provider: str = Field(max_length=64, description="Kind of the upstreams it is for.")
    host: str = Field(
        default="",
        max_length=255,
        description="The only host it is sent to, with its port if unusual; the kind's own if left "
        "out.",
    )


class Credential(BaseModel):
    """A credential as it is shown."""

    tenant: str = Field(description="Empty: the operator's own.")
    name: str
    provider: str
    host: str
    last4: str = Field(description="Empty for secrets of less than 16 characters.")
    version: int
    created_at: Moment
    rotated_at: Moment | None
    updated_at: Moment | None


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        rows = await list_credentials(
            connection, call.path.get("tenant", ""), position_of(query), query.limit + 1
        )
    return Answer(page_of([credential_of(row) for row in rows], query, lambda each: each.name))


async def show(call: Call) -> Answer:
    tenant, name = call.path.get("tenant", ""), call.path["name"]
    async with call.context.sql.connect() as connection:
        row = await find_credential(connection, tenant, name)
    if row is None:
        raise not_found("credential", name)
    return Answer(credential_of(row), version=row["version"])


async def make(call: Call) -> Answer:
    body: NewCredential = call.body
    context = call.context
    try:
        async with change(call, "credential.create", f"credentials/{body.name}") as under_way:
            tenant = await check_tenant(call, under_way)
            held = await count_credentials(under_way.connection, tenant)
            refuse_more_than(MOST_CREDENTIALS, held, "credential")
            host = check_place(body)
            bound = await find_bound(under_way.connection, tenant, body.provider, host)
            if tenant and bound:
                hint = f"rotate the credential {bound[0]}, or delete it first"
                message = f"there is a credential for {body.provider} at {host or 'its host'}"
                raise AdminError(409, "credential_exists", message, hint)
            values = {
                "tenant": tenant, "name": body.name, "provider": body.provider, "host": host,
            }  # fmt: skip
            await insert_credential(
                under_way.connection, values, body.secret, context.key_ring, context.clock.now()
            )
            row = await find_credential(under_way.connection, tenant, body.name)
            assert row is not None
            made = credential_of(row)
            under_way.after = made.model_dump(mode="json")
    except IntegrityError as error:
        raise name_taken("credential", body.name) from error
    except DataKeyRaceError as error:
        raise _race() from error
    return Answer(made, status=201, version=made.version)


async def rotate(call: Call) -> Answer:
    """The old secret is gone at once; calls under way end with it."""
    tenant, name = call.path.get("tenant", ""), call.path["name"]
    context = call.context
    try:
        async with change(call, "credential.rotate", f"credentials/{name}") as under_way:
            row = await find_credential(under_way.connection, tenant, name)
            if row is None:
                raise not_found("credential", name)
            check_version(call, row["version"])
            if not await replace_secret(
                under_way.connection, row, call.body.secret, context.key_ring, context.clock.now()
            ):
                raise changed_meanwhile()
            rotated = await find_credential(under_way.connection, tenant, name)
            assert rotated is not None
            under_way.before = credential_of(row).model_dump(mode="json")
            under_way.after = credential_of(rotated).model_dump(mode="json")
    except DataKeyRaceError as error:
        raise _race() from error
    return Answer(credential_of(rotated), version=rotated["version"])


async def remove(call: Call) -> Answer:
    tenant, name = call.path.get("tenant", ""), call.path["name"]
    async with change(call, "credential.delete", f"credentials/{name}") as under_way:
        row = await find_credential(under_way.connection, tenant, name)
        if row is None:
            raise not_found("credential", name)
        check_version(call, row["version"])
        if not await delete_credential(under_way.connection, row):
            raise changed_meanwhile()
        under_way.before = credential_of(row).model_dump(mode="json")
    return Answer(status=204)


def check_place(body: NewCredential) -> str:
    """The host a credential is bound to. AdminError 422."""
    if body.provider not in KNOWN_KINDS:
        hint = "it is the kind of an upstream: openai, anthropic, gemini ..."
        raise AdminError(422, "unknown_provider", f"unknown provider {body.provider!r}", hint)
    host = body.host.lower() or default_host(body.provider)
    if not host and needs_host(body.provider):
        hint = "send host, such as the one in the upstream's base_url"
        raise AdminError(422, "missing_host", f"servers of kind {body.provider} differ", hint)
    if host and not HOST.fullmatch(host):
        hint = "leave out scheme and path; add the port if it is not 443"
        raise AdminError(422, "invalid_host", "host is no plain host name", hint)
    return host


def credential_of(row: Row) -> Credential:
    return Credential.model_validate({name: row[name] for name in Credential.model_fields})


def _race() -> AdminError:
    hint = "repeat the call: nothing was changed"
    return AdminError(409, "conflict", "the data key was rotated at the same moment", hint)


P = Permission
OPERATORS, TENANTS = "/admin/v1/credentials", "/admin/v1/tenants/{tenant}/credentials"


def _routes(place: str, read: Permission, write: Permission, whose: str) -> tuple[Route, ...]:
    return (
        Route("GET", place, list_all, read, f"List {whose} credentials",
              query=PageQuery, answer=Page[Credential]),
        Route("POST", place, make, write, f"Keep one of {whose} credentials",
              body=NewCredential, answer=Credential),
        Route("GET", f"{place}/{{name}}", show, read, f"Show one of {whose} credentials",
              answer=Credential),
        Route("DELETE", f"{place}/{{name}}", remove, write, f"Remove one of {whose} credentials"),
        Route("POST", f"{place}/{{name}}/rotate", rotate, write,
              f"Replace the secret of one of {whose} credentials",
              body=NewSecret, answer=Credential),
    )  # fmt: skip


ROUTES = (
    *_routes(OPERATORS, P.operate, P.operate, "the operator's"),
    *_routes(TENANTS, P.credential_read, P.credential_write, "a tenant's"),
)
