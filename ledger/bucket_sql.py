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


def _halves(expression: str, name: str) -> dict[str, str]:
    """The two halves of an amount, whose sums are exact; of an unknown one 0."""
    return {
        f"{name}_high": f"ifNull(intDiv({expression}, {SPLIT}), 0)",
        f"{name}_low": f"ifNull(modulo({expression}, {SPLIT}), 0)",
    }


# What an END adds to the figures of its groups, in the order of the column `figures`: the events'
# own is made by the store as they come in (storage/migrations/columnar/0004_usage_hours.sql).
FIGURES: dict[str, str] = {
    "requests": "is_final",
    "ended": "1",
    "errors": "is_final AND outcome NOT IN ('ok', 'client_closed')",
    "cache_hits": "is_final AND cache = 'hit'",
    "coalesced": "is_final AND cache = 'coalesced'",
    "unpriced_lone": f"isNull(cost_picousd) AND ({IS_LONE})",
    "retried": f"isNull(cost_picousd) AND NOT ({IS_LONE})",
    "unsure": "usage_source = 'unknown'",
    **{f"sum_{name}": f"if(usage_source = 'provider', {name}, 0)" for name in TOKEN_BUCKETS},
    "cache_served_tokens": f"if(usage_source = 'cache', {' + '.join(TOKEN_BUCKETS)}, 0)",
    **_halves("cost_picousd", "cost"),
    **_halves("gross_baseline_picousd", "gross_baseline"),
    **_halves(SAVING, "gross_saving"),
    **{f"priced_{name}": f"isNotNull({of}) AND {has}" for name, (of, has) in AMOUNTS.items()},
    **{f"unpriced_{name}": f"isNull({of})" for name, (of, _) in AMOUNTS.items()},
}
# Behind them, in sums alone: what comes from usage_estimates.
ESTIMATES: dict[str, str] = {
    "estimated_attempts": "1",
    "priced_estimates": "isNotNull(estimated_picousd)",
    **_halves("estimated_picousd", "estimated"),
}
NAMES = (*FIGURES, *ESTIMATES)
_OF_ESTIMATE = ", ".join(
    f"if({_IS_ESTIMATE}, toInt64({expression}), 0)" for expression in ESTIMATES.values()
)
_UNSURE = list(FIGURES).index("unsure") + 1
_KEYS = (
    *("tenant", "at_us", "key_id", "requested_model", "served_model", "upstream", "cache", "arm"),
    "tags",
)


def figures_sql() -> str:
    """The figures of one END, as an array; of any other event none."""
    figures = ", ".join(f"toInt64({expression})" for expression in FIGURES.values())
    return f"if(kind = 'end', [{figures}], [])"


def sums_by(
    group_by: str, days: Sequence[Window], hours: Sequence[Window], events: Sequence[Window]
) -> str:
    """Sums by `group_by` and in total, over buckets as they were summed and over events.

    Parameter tenant ("" for all).
    """
    parts = [
        *([_buckets(group_by, DAY_HOURS, days)] if days else []),
        *([_buckets(group_by, 1, hours)] if hours else []),
        *([_ends(group_by, events)] if events else []),
    ]
    return f"""
SELECT kind, value, sumForEach(part) AS figures, sum(doubt) AS unsure
FROM ({" UNION ALL ".join(parts)}) GROUP BY kind, value
"""  # noqa: S608  our own text


def _buckets(group_by: str, hours: int, windows: Sequence[Window]) -> str:
    group, joined = "toString(dimension) AS kind, usage_sums.value AS value", ""
    kinds = f"dimension IN ('{TOTAL}', '{group_by}')"
    if group_by in _OF_BUCKET:
        group, kinds = "g.1 AS kind, g.2 AS value", f"dimension = '{TOTAL}'"
        joined = f"ARRAY JOIN [('{TOTAL}', ''), ('{group_by}', {_OF_BUCKET[group_by]})] AS g"
    return f"""
SELECT {group}, figures AS part, toInt64(0) AS doubt FROM usage_sums {joined}
WHERE hours = {hours} AND {kinds} AND {BY_TENANT} AND {within("bucket", windows)}
    AND (bucket, version) IN ({latest_of(hours)})
"""  # noqa: S608  our own text


def _ends(group_by: str, windows: Sequence[Window]) -> str:
    """Of the ENDs in windows; `doubt` counts those that an estimate may be of."""
    return f"""
SELECT g.1 AS kind, g.2 AS value, figures AS part, figures[{_UNSURE}] AS doubt
FROM (
    SELECT {", ".join(columns_of(group_by))}, figures FROM usage_events FINAL
    WHERE kind = 'end' AND {within("at_us", windows)} AND {BY_TENANT}
) ARRAY JOIN {groups_of(group_by)} AS g
"""  # noqa: S608  our own text


def estimates_by(group_by: str, windows: Sequence[Window]) -> str:
    """Sums of the estimates of ENDs in windows, by `group_by` and in total; parameter tenant."""
    return f"""
SELECT g.1 AS kind, g.2 AS value, sumForEach([{_OF_ESTIMATE}]) AS figures
FROM ({_with_estimates(windows, columns_of(group_by), BY_TENANT)})
ARRAY JOIN {groups_of(group_by)} AS g GROUP BY kind, value
"""  # noqa: S608  our own text


def columns_of(group_by: str) -> tuple[str, ...]:
    """The columns of an event that its groups are made of."""
    return {"tag": ("tags",), "day": ("at_us",)}.get(group_by, (VALUES.get(group_by, group_by),))


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


def _with_estimates(windows: Sequence[Window], columns: Sequence[str], condition: str = "1") -> str:
    """ENDs in windows, each with what is estimated of it."""
    inside = within("at_us", windows)
    return f"""
SELECT * FROM (
    SELECT event_id, usage_source, {", ".join(columns)}, figures FROM usage_events FINAL
    WHERE kind = 'end' AND {inside} AND {condition}
) AS ends
LEFT JOIN (
    SELECT event_id AS estimate_of, estimated_picousd, 1 AS has_estimate
    FROM usage_estimates FINAL WHERE {inside} AND {condition}
) AS estimates ON ends.event_id = estimates.estimate_of
"""  # noqa: S608  our own text


def roll_sums(hours: int, windows: Sequence[Window], version: int) -> str:
    """Sum buckets of so many hours whole, which `windows` are, into usage_sums."""
    return f"""
INSERT INTO usage_sums (hours, bucket, version, dimension, tenant, value, figures)
SELECT {hours}, intDiv(at_us, {HOUR_US * hours}) AS bucket, {version}, g.1 AS dimension, tenant,
    g.2 AS value, sumForEach(arrayConcat(figures, [{_OF_ESTIMATE}]))
FROM ({_with_estimates(windows, _KEYS)})
ARRAY JOIN {_all_groups()} AS g
GROUP BY bucket, dimension, tenant, value
"""  # noqa: S608  our own text


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
