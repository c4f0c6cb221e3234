"""The statements of usage: complete, with values only as parameters."""

import pytest

from ledger.events import TOKEN_BUCKETS
from ledger.usage_sql import DIMENSIONS, REQUEST, TOTAL, ends_by, unknown_by


@pytest.mark.parametrize("dimension", [*DIMENSIONS.values(), (TOTAL, TOTAL)])
def test_nothing_is_left_to_fill_in(dimension: tuple[str, str]) -> None:
    for sql in (ends_by(dimension[0]), unknown_by(dimension[1])):
        assert "<" not in sql.replace(" < ", "").replace("<=", "")
        assert "FINAL" in sql
        assert "{tenant:String}" in sql


def test_every_bucket_is_summed() -> None:
    sql = ends_by("requested_model")
    assert all(f"AS sum_{name}" in sql for name in TOKEN_BUCKETS)


def test_a_request_is_looked_up_by_parameter() -> None:
    assert "{request_id:String}" in REQUEST
