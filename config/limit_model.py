"""Limits as people write them, in apex.yaml and over the admin API: rates, and budgets in USD.

Used by config.operator_model and admin_api.routes; policies.declared_limits makes them whole
pico-USD, which is how they are stored and enforced.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

PICO_DECIMALS = 12
MOST_BUDGET_USD = 9_000_000  # of pico-USD, so many fit into 63 bits
MOST_BUDGETS = 6  # three periods, hard and soft


def _check_amount(value: Decimal) -> Decimal:
    if not 0 <= value <= MOST_BUDGET_USD:
        raise ValueError(f"an amount lies between 0 and {MOST_BUDGET_USD} USD")
    if value != round(value, PICO_DECIMALS):
        raise ValueError(f"an amount has at most {PICO_DECIMALS} decimals")
    return value


def _check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no IANA time zone: write it as in Europe/Berlin") from None
    return name


TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_check_time_zone)]
Usd = Annotated[
    Decimal,
    AfterValidator(_check_amount),
    PlainSerializer(lambda value: f"{value.normalize():f}", return_type=str),
]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class BudgetConfig(_Written):
    """Money for a period that begins at midnight in the tenant's time zone."""

    amount_usd: Usd = Field(description="USD, in digits: 12.50.")
    period: Literal["day", "week", "month"] = Field(description="day, week (from Monday) or month.")
    hard: bool = Field(default=True, description="Refuse what would pass it; false: only say so.")


class LimitsConfig(_Written):
    """What a key, a project or a tenant may use; what is left out is not limited."""

    requests_per_minute: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="Requests begun in a minute."
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, le=1_000_000_000_000, description="Tokens, in and out, in a minute."
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests open at once."
    )
    budgets: tuple[BudgetConfig, ...] = Field(
        default=(), max_length=MOST_BUDGETS, description="Money by period."
    )

    @model_validator(mode="after")
    def _check_budgets(self) -> Self:
        kinds = [(each.period, each.hard) for each in self.budgets]
        if len(set(kinds)) < len(kinds):
            raise ValueError("two budgets of one period, both hard or both soft: keep one")
        return self
