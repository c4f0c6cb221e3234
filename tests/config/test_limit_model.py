"""Limits as people write them: what is refused, and how money is shown."""

from typing import Any

import pytest
from pydantic import ValidationError

from config.limit_model import BudgetConfig, LimitsConfig


@pytest.mark.parametrize(
    ("written", "shown"), [("12.50", "12.5"), (100, "100"), ("0", "0"), ("1e-12", "0.000000000001")]
)
def test_money_is_shown_in_plain_digits(written: object, shown: str) -> None:
    budget = BudgetConfig.model_validate({"amount_usd": written, "period": "day"})
    assert budget.model_dump(mode="json") == {"amount_usd": shown, "period": "day", "hard": True}


@pytest.mark.parametrize(
    "bad",
    [
        {"requests_per_minute": 0},
        {"requests_per_second": 1},
        {"budgets": [{"amount_usd": "-1", "period": "day"}]},
        {"budgets": [{"amount_usd": "1e-13", "period": "day"}]},
        {"budgets": [{"amount_usd": "NaN", "period": "day"}]},
        {"budgets": [{"amount_usd": "9000001", "period": "day"}]},
        {"budgets": [{"amount_usd": "1", "period": "year"}]},
        {"budgets": [{"amount_usd": "1", "period": "day"}, {"amount_usd": "2", "period": "day"}]},
    ],
)
def test_what_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LimitsConfig.model_validate(bad)
