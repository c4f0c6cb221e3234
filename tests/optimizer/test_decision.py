"""The values decide reads and answers: immutable, and a bypass that allows nothing."""

import pytest

from optimizer.decision import bypass_plan
from tests.optimizer.samples import FACTS


def test_a_bypass_allows_nothing_and_keeps_its_reason() -> None:
    plan = bypass_plan("holdout")
    assert not (plan.reads)
    assert not (plan.writes)
    assert not (plan.joins_flights)
    assert (plan.ttl_s, plan.max_age_s, plan.reason) == (0, None, "holdout")


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        FACTS.model = "other"  # type: ignore[misc]
