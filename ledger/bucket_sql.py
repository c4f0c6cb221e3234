"""The statements behind usage by buckets: sums of days and hours, and of the events around them.

Used by ledger.usage, which reads, and ledger.rolling, which writes. Only fixed expressions and
whole numbers of ours are put into the text; names travel as parameters.
"""

from collections.abc import Sequence

from ledger.amounts import SPLIT
from ledger.bucket_plan import DAY_HOURS, HOUR_US, Window
from ledger.events import TOKEN_BUCKETS
from ledger.usage_sql import AMOUNTS, SAVING

TOTAL = "total"
# What is summed by; by day and by tenant the total of a bucket serves.
VALUES = {
    "model": "requested_model",
    "served_model": "served_model",
    "key": "key_id",
    "upstream": "upstream",
    "cache": "cache",
    "arm": "arm",
}
_TAG_VALUES = (
    "if(empty(tags), [''], arrayMap((k, v) -> concat(k, '=', v), mapKeys(tags), mapValues(tags)))"
)
_OF_EVENT = {
    "day": "formatDateTime(fromUnixTimestamp64Micro(at_us, 'UTC'), '%F')",
    "tenant": "tenant",
}
_OF_BUCKET = {
    "day": "formatDateTime(fromUnixTimestamp64Micro(bucket * hours * 3600000000, 'UTC'), '%F')",
    "tenant": "toString(tenant)",
}
_IS_ESTIMATE = "has_estimate AND usage_source = 'unknown'"
IS_LONE = "is_final AND attempt = 1"  # the only attempt of its request
BY_TENANT = "({tenant:String} = '' OR tenant = {tenant:String})"


def _halves(expression: str, name: str, condition: str = "1") -> dict[str, str]:
    """The two halves of an exact sum; nothing but unknown ones sum to 0."""
    return {
        f"{name}_high": f"ifNull(sumIf(intDiv({expression}, {SPLIT}), {condition}), 0)",
        f"{name}_low": f"ifNull(sumIf(modulo({expression}, {SPLIT}), {condition}), 0)",
    }


# Column -> what it is of the ENDs of a bucket.
SUMS: dict[str, str] = {
    "requests": "countIf(is_final)",
    "ended": "count()",
    "errors": "countIf(is_final AND outcome NOT IN ('ok', 'client_closed'))",
    "cache_hits": "countIf(is_final AND cache = 'hit')",
    "coalesced": "countIf(is_final AND cache = 'coalesced')",
    "unpriced_lone": f"countIf(isNull(cost_picousd) AND {IS_LONE})",
    **{f"sum_{name}": f"sumIf({name}, usage_source = 'provider')" for name in TOKEN_BUCKETS},
    "cache_served_tokens": f"sumIf({' + '.join(TOKEN_BUCKETS)}, usage_source = 'cache')",
    **_halves("cost_picousd", "cost"),
    **_halves("gross_baseline_picousd", "gross_baseline"),
    **_halves(SAVING, "gross_saving"),
    **{
        f"priced_{name}": f"countIf(isNotNull({of}) AND {has})"
        for name, (of, has) in AMOUNTS.items()
    },
    **{f"unpriced_{name}": f"countIf(isNull({of}))" for name, (of, _) in AMOUNTS.items()},
    "estimated_attempts": f"countIf({_IS_ESTIMATE})",
    "priced_estimates": f"countIf({_IS_ESTIMATE} AND isNotNull(estimated_picousd))",
    **_halves("estimated_picousd", "estimated", _IS_ESTIMATE),
}
_END_COLUMNS = (
    *("event_id", "tenant", "request_id", "attempt", "at_us", "key_id", "requested_model"),
    *("served_model", "upstream", "cache", "arm", "tags", "outcome", "is_final", "usage_source"),
    *("cost_picousd", "price_state", "gross_baseline_picousd", "baseline_price_state"),
    *TOKEN_BUCKETS,
)


def sums_by(
    group_by: str, days: Sequence[Window], hours: Sequence[Window], events: Sequence[Window]
) -> str:
    """Sums by `group_by` and in total, over buckets as they were summed and over events.

    Parameter tenant ("" for all).
    """
    parts = [
        *([_buckets(group_by, DAY_HOURS, days)] if days else []),
        *([_buckets(group_by, 1, hours)] if hours else []),
        *([_ends(events, groups_of(group_by), "", BY_TENANT)] if events else []),
    ]
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    return f"SELECT kind, value, {sums} FROM ({' UNION ALL '.join(parts)}) GROUP BY kind, value"  # noqa: S608


def _buckets(group_by: str, hours: int, windows: Sequence[Window]) -> str:
    group, joined = "toString(dimension) AS kind, usage_sums.value AS value", ""
    kinds = f"dimension IN ('{TOTAL}', '{group_by}')"
    if group_by in _OF_BUCKET:
        group, kinds = "g.1 AS kind, g.2 AS value", f"dimension = '{TOTAL}'"
        joined = f"ARRAY JOIN [('{TOTAL}', ''), ('{group_by}', {_OF_BUCKET[group_by]})] AS g"
    return f"""
SELECT {group}, {", ".join(SUMS)} FROM usage_sums {joined}
WHERE hours = {hours} AND {kinds} AND {BY_TENANT} AND {within("bucket", windows)}
    AND (bucket, version) IN ({latest_of(hours)})
"""  # noqa: S608  our own text


def latest_of(hours: int) -> str:
    """Which version of each bucket counts."""
    return f"SELECT bucket, max(version) FROM usage_rolled WHERE hours = {hours} GROUP BY bucket"  # noqa: S608


def groups_of(group_by: str) -> str:
    """The groups of one event, as an array of (dimension, value)."""
    if group_by == "tag":
        return f"arrayConcat([('{TOTAL}', '')], arrayMap(v -> ('tag', v), {_TAG_VALUES}))"
    expression = {**VALUES, **_OF_EVENT}[group_by]
    return f"[('{TOTAL}', ''), ('{group_by}', toString({expression}))]"


def _all_groups() -> str:
    pairs = ", ".join(f"('{name}', toString({value}))" for name, value in VALUES.items())
    tags = f"arrayMap(v -> ('tag', v), {_TAG_VALUES})"
    return f"arrayConcat([('{TOTAL}', ''), {pairs}], {tags})"


def _ends(windows: Sequence[Window], groups: str, keys: str, condition: str = "1") -> str:
    """Sums of ENDs in windows by each of their groups, and by `keys` where there are any."""
    sums = ", ".join(f"{expression} AS {name}" for name, expression in SUMS.items())
    inside = within("at_us", windows)
    return f"""
SELECT {keys} g.1 AS kind, g.2 AS value, {sums}
FROM (
    SELECT * FROM (
        SELECT {", ".join(_END_COLUMNS)}, intDiv(at_us, {HOUR_US}) AS hour
        FROM usage_events FINAL
        WHERE kind = 'end' AND {inside} AND {condition}
    ) AS ends
    LEFT JOIN (
        SELECT event_id AS estimate_of, estimated_picousd, 1 AS has_estimate
        FROM usage_estimates FINAL WHERE {inside} AND {condition}
    ) AS estimates ON ends.event_id = estimates.estimate_of
)
ARRAY JOIN {groups} AS g
GROUP BY {keys} kind, value
"""  # noqa: S608  our own text


def roll_sums(hours: int, windows: Sequence[Window], version: int) -> str:
    """Sum buckets of so many hours whole, which `windows` are, into usage_sums."""
    ends = _ends(windows, _all_groups(), "bucket, tenant,").replace(
        f"intDiv(at_us, {HOUR_US}) AS hour", f"intDiv(at_us, {HOUR_US * hours}) AS bucket"
    )
    columns = ", ".join(("bucket", "tenant", "dimension", "value", *SUMS, "hours", "version"))
    return f"INSERT INTO usage_sums ({columns}) SELECT *, {hours}, {version} FROM ({ends})"  # noqa: S608


def count_events(hours: int, windows: Sequence[Window]) -> str:
    """How many events each bucket holds."""
    return f"""
SELECT intDiv(at_us, {HOUR_US * hours}) AS bucket, count() AS events FROM usage_events FINAL
WHERE {within("at_us", windows)} GROUP BY bucket
"""  # noqa: S608  our own text


def within(column: str, windows: Sequence[Window]) -> str:
    """Whether a column lies in any of the windows."""
    ranges = (f"({column} >= {since} AND {column} < {until})" for since, until in windows)
    return f"({' OR '.join(ranges) or '0'})"
