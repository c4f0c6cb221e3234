"""What keys have cost since a moment: what budgets start from where their counters are new.

Called by roles/spent.py. Unknown costs are in no sum: what they reserved is not known here.
"""

from ledger.amounts import sum_columns, summed
from storage.columnar import Columnar

_SPENT = """
SELECT tenant, key_id, <sums>
FROM usage_events FINAL
WHERE kind = 'end' AND at_us >= {since:Int64} AND at_us < {until:Int64}
GROUP BY tenant, key_id
""".replace("<sums>", sum_columns("cost_picousd", "cost"))


async def spent_by_key(
    columnar: Columnar, since_us: int, until_us: int
) -> dict[tuple[str, str], int]:
    """Pico-USD by (tenant, key id) in [since_us, until_us), unix microseconds; ColumnarError."""
    rows = await columnar.query(_SPENT, {"since": since_us, "until": until_us})
    return {(row["tenant"], row["key_id"]): summed(row, "cost") for row in rows}
