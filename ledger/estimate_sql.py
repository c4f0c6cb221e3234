"""The statements that bring estimates to the ENDs they are of. Used by ledger.usage.

An estimate counts only beside an END whose usage is unknown: never in a cost, never in a saving.
"""

from ledger.amounts import sum_columns

# Only what is asked for comes out of the right side, or its names would hide those of the ENDs.
_ESTIMATED = """
SELECT <dimension> AS dimension,
    count() AS estimated_attempts,
    countIf(isNotNull(estimated_picousd)) AS priced_estimates,
    <sums>
FROM (
    SELECT *, at FROM usage_events FINAL
    WHERE kind = 'end' AND usage_source = 'unknown'
        AND at_us >= {since:Int64} AND at_us < {until:Int64}
        AND ({tenant:String} = '' OR tenant = {tenant:String})
) AS ends
INNER JOIN (
    SELECT event_id AS estimate_of, estimated_picousd FROM usage_estimates FINAL
    WHERE at_us >= {since:Int64} AND at_us < {until:Int64}
        AND ({tenant:String} = '' OR tenant = {tenant:String})
) AS estimates ON ends.event_id = estimates.estimate_of
GROUP BY dimension
"""
ESTIMATES_OF_REQUEST = """
SELECT * FROM usage_estimates FINAL
WHERE request_id = {request_id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
"""


def estimated_by(dimension: str) -> str:
    """Parameters since, until (unix microseconds) and tenant ("" for all)."""
    sums = sum_columns("estimated_picousd", "estimated")
    return _ESTIMATED.replace("<dimension>", dimension).replace("<sums>", sums)
