"""/admin/v1/prices: the operator's own prices, which win over the book, each with its source.

A price is per million tokens; what looks like one per token or per thousand is refused.
"""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change, check_version
from admin_api.declared_rows import name_taken, not_found
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment, changed_meanwhile, refuse_if_declared
from config.operator_model import ModelName, PerMillionUsd
from config.provider_hosts import host_of
from ledger.price_book import declared_price
from ledger.rating import Price, Quote
from policies.document_store import (
    PRICES,
    UPSTREAMS,
    Row,
    delete_document,
    find_document,
    insert_document,
    list_documents,
    replace_document,
)

MOST_TIMES = 50  # dearer or cheaper than the list: then somebody mistook the unit
SEPARATOR = "\n"  # in no name


class PriceChange(Strict):
    """What a model costs at an upstream, in USD per million tokens."""

    input_per_million_usd: PerMillionUsd
    output_per_million_usd: PerMillionUsd
    cache_read_per_million_usd: PerMillionUsd | None = Field(
        default=None, description="As input if left out."
    )
    cache_write_per_million_usd: PerMillionUsd | None = Field(
        default=None, description="As input if left out."
    )
    citation: str = Field(
        min_length=8, max_length=2000, description="A contract, or a page and its date."
    )
    is_unusual: bool = Field(
        default=False, description=f"Yes, it differs from the list by more than {MOST_TIMES} times."
    )


class NewPrice(PriceChange):
    """A price to be declared."""

    upstream: str = Field(max_length=64)
    model: ModelName = Field(description="The upstream's own name of the model.")


class StoredPrice(BaseModel):
    """A declared price as it is stored."""

    upstream: str
    model: str
    input_per_million_usd: Decimal
    output_per_million_usd: Decimal
    cache_read_per_million_usd: Decimal | None
    cache_write_per_million_usd: Decimal | None
    citation: str
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    upstream, _, model = position_of(query).partition(SEPARATOR)
    async with call.context.sql.connect() as connection:
        rows = await list_documents(connection, PRICES, (upstream, model), query.limit + 1)
    prices = [price_of(row) for row in rows]
    return Answer(page_of(prices, query, lambda each: f"{each.upstream}{SEPARATOR}{each.model}"))


async def make(call: Call) -> Answer:
    body: NewPrice = call.body
    place = (body.upstream, body.model)
    try:
        async with change(call, "price.create", _subject(place)) as under_way:
            upstream = await find_document(under_way.connection, UPSTREAMS, ("", body.upstream))
            if upstream is None:
                raise not_found("upstream", body.upstream)
            check_against_list(call, place, upstream, body)
            now = call.context.clock.now()
            await insert_document(under_way.connection, PRICES, place, values_of(body), now)
            row = await find_document(under_way.connection, PRICES, place)
            assert row is not None
            made = price_of(row)
            under_way.after = made.model_dump(mode="json")
    except IntegrityError as error:
        raise name_taken("price", "/".join(place)) from error
    return Answer(made, status=201, version=made.version)


async def replace(call: Call) -> Answer:
    place = (call.path["upstream"], call.path["model"])
    async with change(call, "price.update", _subject(place)) as under_way:
        row = await _row_to_change(call, under_way.connection)
        upstream = await find_document(under_way.connection, UPSTREAMS, ("", place[0]))
        check_against_list(call, place, upstream, call.body)
        values, now = values_of(call.body), call.context.clock.now()
        if not await replace_document(under_way.connection, PRICES, row, values, now):
            raise changed_meanwhile()
        changed = await find_document(under_way.connection, PRICES, place)
        assert changed is not None
        under_way.before = price_of(row).model_dump(mode="json")
        under_way.after = price_of(changed).model_dump(mode="json")
    return Answer(price_of(changed), version=changed["version"])


async def remove(call: Call) -> Answer:
    place = (call.path["upstream"], call.path["model"])
    async with change(call, "price.delete", _subject(place)) as under_way:
        row = await _row_to_change(call, under_way.connection)
        if not await delete_document(under_way.connection, PRICES, row):
            raise changed_meanwhile()
        under_way.before = price_of(row).model_dump(mode="json")
    return Answer(status=204)


async def _row_to_change(call: Call, connection: Any) -> Row:
    place = (call.path["upstream"], call.path["model"])
    row = await find_document(connection, PRICES, place)
    if row is None:
        raise not_found("price", "/".join(place))
    refuse_if_declared(row)
    check_version(call, row["version"])
    return row


def check_against_list(
    call: Call, place: tuple[str, str], upstream: Row | None, body: PriceChange
) -> None:
    """Refuse a price that is far from the list's, unless the caller says it is meant so."""
    if upstream is None or body.is_unusual:
        return
    document = upstream["document"]
    host = host_of(document["kind"], document.get("base_url"), document.get("region"))
    listed = call.context.price_book().quote("", document["kind"], host, place[1])
    for name, ours, theirs in _pairs(declared_price(body), listed):
        if ours * MOST_TIMES < theirs or ours > theirs * MOST_TIMES:
            times = f"{theirs / 10**6:g} USD per million tokens"
            hint = f"the list says {times}; if yours is right, send is_unusual: true with it"
            message = f"{name} is more than {MOST_TIMES} times away from the list"
            raise AdminError(422, "unusual_price", message, hint)


def _pairs(ours: Price, listed: Quote) -> list[tuple[str, int, int]]:
    if listed.price is None:
        return []
    pairs = [
        ("input", ours.input, listed.price.input),
        ("output", ours.output, listed.price.output),
    ]
    return [(name, mine or 0, listing) for name, mine, listing in pairs if listing]


def values_of(body: PriceChange) -> dict[str, Any]:
    names = set(PriceChange.model_fields) - {"citation", "is_unusual"}
    return {"document": body.model_dump(mode="json", include=names), "citation": body.citation}


def price_of(row: Row) -> StoredPrice:
    names = ("upstream", "model", "citation", "managed_by", "version", "created_at", "updated_at")
    return StoredPrice.model_validate({**row["document"], **{name: row[name] for name in names}})


def _subject(place: tuple[str, str]) -> str:
    return f"prices/{place[0]}/{place[1]}"[:300]


P = Permission
ONE = "/admin/v1/prices/{upstream}/{model:.+}"
ROUTES = (
    Route("GET", "/admin/v1/prices", list_all, P.operate, "List the operator's own prices",
          query=PageQuery, answer=Page[StoredPrice]),
    Route("POST", "/admin/v1/prices", make, P.operate, "Declare a price",
          body=NewPrice, answer=StoredPrice),
    Route("PUT", ONE, replace, P.operate, "Replace a declared price",
          body=PriceChange, answer=StoredPrice),
    Route("DELETE", ONE, remove, P.operate, "Remove a declared price"),
)  # fmt: skip
