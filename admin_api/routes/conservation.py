"""GET /admin/v1/conservation: starts = ends + unknown, and log = store = the mock's bill."""

from typing import Any

from pydantic import BaseModel

from admin_api.calls import Answer, Call, Route
from admin_api.context import UsageStore
from admin_api.permissions import Permission


class Conservation(BaseModel):
    """Whether every figure agrees, and the lines that show it."""

    is_exact: bool
    starts: int
    ends: int
    open_attempts: int
    unknown_attempts: int
    rows: list[str]


async def show_conservation(call: Call) -> Answer:
    """200 whether they agree or not."""
    return Answer(Conservation.model_validate(await answer_conservation(call.context.usage)))


async def answer_conservation(usage: UsageStore) -> dict[str, Any]:
    """The report's figures and its lines; AdminError."""
    report = await usage.check_conservation()
    return {
        "is_exact": report.is_exact,
        "starts": report.starts,
        "ends": report.ends,
        "open_attempts": report.open_attempts,
        "unknown_attempts": report.unknown_attempts,
        "rows": list(report.rows),
    }


ROUTES = (
    Route("GET", "/admin/v1/conservation", show_conservation, Permission.operate,
          "Check that log, store and bill agree", answer=Conservation),
)  # fmt: skip
