"""GET /admin/v1/models: the public models that are served here, and what each costs where."""

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.routes.prices import TargetPrice, list_targets
from ledger.target_report import price_targets


class ServedModel(BaseModel):
    """A public name and what it stands for, in the order in which it is tried."""

    name: str
    targets: list[TargetPrice] = Field(description="Empty: it is served by nobody now.")


async def list_models(call: Call) -> Answer:
    """By name; a page of them is priced at a time."""
    context, query = call.context, call.query
    snapshot, book = context.snapshot(), context.price_book()
    after = position_of(query)
    names = sorted(name for name in snapshot.models if name > after)[: query.limit + 1]
    items = []
    for name in names:
        prices = price_targets(book, list_targets(snapshot.upstreams, snapshot.models[name]))
        targets = [TargetPrice.model_validate(price.document()) for price in prices]
        items.append(ServedModel(name=name, targets=targets))
    return Answer(page_of(items, query, lambda each: each.name))


ROUTES = (
    Route("GET", "/admin/v1/models", list_models, Permission.catalogue_read,
          "List the models that are served", query=PageQuery, answer=Page[ServedModel]),
)  # fmt: skip
