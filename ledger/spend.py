"""What each tenant spent since a moment, from the usage events; used by roles/spend_watch.py."""

from ledger.amounts import sum_columns, summed
from storage.columnar import Columnar

_SPENT = """
SELECT tenant, <sums>
FROM usage_events FINAL
WHERE kind = 'end' AND at_us >= {since:Int64} AND isNotNull(cost_picousd)
GROUP BY tenant
""".replace("<sums>", sum_columns("cost_picousd", "cost"))


async def read_spend(columnar: Columnar, since_us: int) -> dict[str, int]:
    """Cost in pico-USD by tenant; what has no known price is left out. Raises ColumnarError."""
    rows = await columnar.query(_SPENT, {"since": since_us})
    return {str(row["tenant"]): summed(row, "cost") for row in rows}
