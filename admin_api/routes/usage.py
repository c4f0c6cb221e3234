"""GET /admin/v1/usage: requests, tokens and cost by one dimension, up to this very moment."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.context import UsageStore
from admin_api.errors import AdminError
from admin_api.key_names import ReadKeyNames, name_keys
from admin_api.permissions import Permission
from ledger.usage import UsageQueryError, usage_rows

GroupBy = Literal[
    "model", "served_model", "key", "tag", "day", "upstream", "cache", "tenant", "arm"
]  # fmt: skip
GROUPS: tuple[GroupBy, ...] = get_args(GroupBy)
Usd = str | None  # decimal text; None: unknown


class UsageQuery(Strict):
    """What usage is asked for."""

    group_by: GroupBy = Field(default="model", description="One row for each of these.")
    since: str = Field(
        default="", alias="from", max_length=40, description="First moment, ISO 8601, UTC."
    )
    until: str = Field(
        default="", alias="to", max_length=40, description="End of the period, not in it."
    )
    tenant: str = Field(default="", max_length=64, description="Only this tenant's.")


class UsageFigures(BaseModel):
    """Sums; amounts are decimal text, null where nothing of them is known."""

    model_config = ConfigDict(extra="allow")

    requests: int
    attempts: int
    unknown_attempts: int
    errors: int
    cache_hits: int
    coalesced: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    audio_input_tokens: int
    image_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_output_tokens: int
    image_output_tokens: int
    total_tokens: int
    cache_served_tokens: int
    cost_usd: Usd
    gross_baseline_usd: Usd
    gross_saving_usd: Usd
    partial_amounts: list[str] = Field(description="Amounts that leave something unknown out.")
    unpriced_requests: int
    estimated_attempts: int
    estimated_usd: Usd = Field(description="Estimated of unknown usage; in no other amount.")


# Checked by nobody on the way out: there may be thousands, and the dimension comes first in each.
_FIGURES = UsageFigures.model_json_schema()
Row = Annotated[dict[str, Any], WithJsonSchema(_FIGURES)]


class Usage(BaseModel):
    """Rows name their group in a field of the dimension's name; by tag they overlap."""

    rows: list[Row]
    totals: Row


async def show_usage(call: Call) -> Answer:
    """What was answered before the call is in it."""
    context, query = call.context, call.query.model_copy(update={"tenant": call.tenant or ""})
    return Answer(Usage.model_validate(await answer_usage(context.usage, context.key_names, query)))


async def answer_usage(
    usage: UsageStore, key_names: ReadKeyNames, query: UsageQuery
) -> dict[str, Any]:
    """The rows and the totals; AdminError."""
    fresh = await usage.open_fresh()
    try:
        answer = await usage_rows(
            fresh.columnar,
            query.group_by,
            _read_moment(query.since),
            _read_moment(query.until),
            query.tenant or None,
            fresh.open_window,
        )
    except UsageQueryError as error:
        raise AdminError(400, "invalid_period", str(error), error.hint) from error
    if query.group_by == "key":
        answer["rows"] = name_keys(answer["rows"], await key_names())
    return answer


def _read_moment(text: str) -> str | None:
    """A plus sign that was not encoded arrives as a space, which no moment has after its T."""
    return (text.replace(" ", "+") if "T" in text else text) or None


ROUTES = (
    Route("GET", "/admin/v1/usage", show_usage, Permission.usage_read, "Show usage and its cost",
          query=UsageQuery, answer=Usage),
)  # fmt: skip
