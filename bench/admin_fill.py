"""Ten million usage events made inside the columnar store, for bench/admin_reads.py."""

from ledger.events import END, START
from storage.columnar import Columnar

DAY_US = 86_400_000_000
# Of one attempt in each line: which customer, key and models; some retried, cached, failed.
_ATTEMPT = """
    'tenant-' || toString(n % 12) AS tenant,
    'key' || toString(n % 240) AS key_id,
    'model-' || toString(intHash32(n) % 30) AS requested_model,
    if(n % 5 = 0, requested_model, 'model-' || toString(intHash32(n) % 9)) AS upstream_model,
    ['openai', 'anthropic', 'own'][1 + n % 3] AS upstream,
    multiIf(n % 7 = 0, 'hit', n % 61 = 0, 'coalesced', 'miss') AS cache,
    ['treatment', 'holdout', ''][1 + intHash32(n + 7) % 3] AS arm,
    map('team', 'team-' || toString(n % 40), 'app', 'app-' || toString(n % 9)) AS tags,
    n % 97 = 0 AS is_retried,
    'r' || toString(intDiv(n, if(is_retried, 2, 1))) AS request_id
"""
_FILL = """
INSERT INTO usage_events
SELECT {columns} FROM (
    SELECT number + {first} AS n,
        {since_us} + intDiv({span_us} * toInt64(number), {many}) AS began_us, {attempt},
        leftPad(hex(intHash64(n)), 16, '0') AS half,
        toUUID(concat(half, leftPad(hex(intHash64(n + 1)), 16, '0'))) AS of_start,
        toUUID(concat(half, leftPad(hex(intHash64(n + 2)), 16, '0'))) AS of_end
    FROM numbers({many})
)
SETTINGS max_insert_threads = 1
"""
_OF_BOTH = {
    "request_id": "request_id", "attempt": "1", "tenant": "tenant", "key_id": "key_id",
    "schema": "2", "start_id": "of_start", "writer": "'bench'", "segment": "'bench/1'",
    "endpoint": "'chat'", "requested_model": "requested_model", "upstream": "upstream",
    "upstream_kind": "'openai'", "upstream_host": "'api.openai.com'",
    "upstream_model": "upstream_model", "cache": "cache", "arm": "arm", "tags": "tags",
}  # fmt: skip
_OF_START = {"event_id": "of_start", "kind": f"'{START}'", "at_us": "began_us"}
_OF_END = {
    "event_id": "of_end", "kind": f"'{END}'", "at_us": "began_us + 1500000 + n % 9000000",
    "served_model": "upstream_model", "is_final": "NOT is_retried",
    "outcome": "if(n % 53 = 0, 'upstream_error', 'ok')",
    "usage_source": "multiIf(cache IN ('hit', 'coalesced'), 'cache', n % 211 = 0, 'unknown',"
    " 'provider')",
    "input_tokens": "100 + n % 4000", "output_tokens": "10 + n % 900",
    "cache_read_tokens": "n % 700",
    "cost_picousd": "if(n % 211 = 0, NULL, if(cache = 'miss', 150000000 + n % 900000000, 0))",
    "gross_baseline_picousd": "if(n % 211 = 0, NULL, 450000000 + n % 900000000)",
    "price_state": "if(n % 11 = 0, 'disputed', 'agreed')", "baseline_price_state": "'agreed'",
    "total_us": "1500000 + n % 9000000",
}  # fmt: skip
_ESTIMATES = """
INSERT INTO usage_estimates (event_id, tenant, request_id, attempt, at_us, model, estimated_picousd)
SELECT event_id, tenant, request_id, attempt, at_us, upstream_model, 1000000 FROM usage_events
WHERE kind = 'end' AND usage_source = 'unknown'
"""


async def fill(columnar: Columnar, events: int, since_us: int, days: int) -> None:
    """Half as many attempts as `events`, spread evenly over the days; one in 5000 has no END."""
    many = events // 2 // days
    for day in range(days):
        for of_kind, condition in ((_OF_START, "1"), (_OF_END, "n % 5003 != 0")):
            values = {**_OF_BOTH, **of_kind}
            statement = _FILL.format(
                columns=", ".join(f"{value} AS {name}_" for name, value in values.items()),
                first=day * many,
                since_us=since_us + day * DAY_US,
                span_us=DAY_US,
                many=many,
                attempt=_ATTEMPT,
            )
            statement = statement.replace(
                "INSERT INTO usage_events", f"INSERT INTO usage_events ({', '.join(values)})"
            ).replace(f"FROM numbers({many})\n)", f"FROM numbers({many})\n) WHERE {condition}")
            await columnar.command(statement)
    await columnar.command(_ESTIMATES)
