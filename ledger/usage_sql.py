"""The statements behind usage: sums over END rows, and counts of STARTs that never got an END.

Used by ledger.usage. Values travel as parameters; only fixed expressions are put into the text.
"""

from ledger.amounts import sum_columns
from ledger.events import TOKEN_BUCKETS

# A request counts in the group of each of its tags; one without tags is shown under "".
_TAGS = (
    "arrayJoin(if(empty(tags), [''], "
    "arrayMap((k, v) -> concat(k, '=', v), mapKeys(tags), mapValues(tags))))"
)
# Dimension -> (expression over END rows, expression over START rows without END).
DIMENSIONS = {
    "model": ("requested_model", "requested_model"),
    "served_model": ("served_model", "upstream_model"),
    "key": ("key_id", "key_id"),
    "tag": (_TAGS, _TAGS),
    "day": ("formatDateTime(at, '%F')", "formatDateTime(at, '%F')"),
    "upstream": ("upstream", "upstream"),
    "cache": ("cache", "cache"),
    "tenant": ("tenant", "tenant"),
    "arm": ("arm", "arm"),
}
TOTAL = "''"
# A disputed price gives no credit, but what was paid on top counts against us all the same.
SAVING = (
    "if(price_state = 'agreed' AND baseline_price_state = 'agreed', "
    "gross_baseline_picousd - cost_picousd, "
    "least(gross_baseline_picousd - cost_picousd, 0))"
)
# Amount -> (what it is the sum of, whether an END has one of its own to be known or not). Answers
# from the cache and attempts that got none cost nothing: that is no price that is known.
_IS_BILLED = "cache NOT IN ('hit', 'coalesced') AND usage_source != 'none'"
AMOUNTS = {
    "cost": ("cost_picousd", _IS_BILLED),
    "gross_baseline": ("gross_baseline_picousd", "is_final AND usage_source != 'none'"),
    "gross_saving": ("gross_baseline_picousd - cost_picousd", "usage_source != 'none'"),
}
_SUMS = (
    *(f"sumIf({name}, usage_source = 'provider') AS sum_{name}" for name in TOKEN_BUCKETS),
    f"sumIf({' + '.join(TOKEN_BUCKETS)}, usage_source = 'cache') AS cache_served_tokens",
    sum_columns("cost_picousd", "cost"),
    sum_columns("gross_baseline_picousd", "gross_baseline"),
    sum_columns(SAVING, "gross_saving"),
    *(
        f"countIf(isNotNull({of}) AND {has}) AS priced_{name}"
        for name, (of, has) in AMOUNTS.items()
    ),
    *(f"countIf(isNull({of})) AS unpriced_{name}" for name, (of, _) in AMOUNTS.items()),
)
_ENDS = """
SELECT <dimension> AS dimension,
    countIf(is_final) AS requests,
    count() AS ended,
    countIf(is_final AND outcome NOT IN ('ok', 'client_closed')) AS errors,
    countIf(is_final AND cache = 'hit') AS cache_hits,
    countIf(is_final AND cache = 'coalesced') AS coalesced,
    uniqExactIf((tenant, request_id), isNull(cost_picousd)) AS unpriced_requests,
    <sums>
FROM usage_events FINAL
WHERE kind = 'end' AND at_us >= {since:Int64} AND at_us < {until:Int64}
    AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY dimension
"""
# An END may carry a time before its START's when the clock was set back: an hour is allowed for.
_UNKNOWN = """
SELECT <dimension> AS dimension, count() AS unknown_attempts
FROM usage_events FINAL
WHERE kind = 'start' AND at_us >= {since:Int64} AND at_us < {until:Int64}
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND NOT (at_us >= {open_since:Int64} AND writer IN {open_writers:Array(String)})
    AND event_id NOT IN (
        SELECT start_id FROM usage_events
        WHERE kind = 'end' AND at_us >= {since:Int64} - 3600000000
            AND ({tenant:String} = '' OR tenant = {tenant:String})
    )
GROUP BY dimension
"""
# Found by its index first and read by key then: with FINAL the index alone opens half the store.
REQUEST = """
SELECT *, at FROM usage_events FINAL
WHERE request_id = {request_id:String} AND (tenant, at_us) IN (
    SELECT tenant, at_us FROM usage_events
    WHERE request_id = {request_id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
)
"""


def ends_by(dimension: str) -> str:
    """Parameters since, until (unix microseconds) and tenant ("" for all)."""
    return _ENDS.replace("<dimension>", dimension).replace("<sums>", ",\n    ".join(_SUMS))


def unknown_by(dimension: str) -> str:
    """Parameters as above, and open_since, open_writers: attempts that may still be under way."""
    return _UNKNOWN.replace("<dimension>", dimension)
