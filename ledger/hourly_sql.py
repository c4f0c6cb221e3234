"""The statements behind usage by the hour: sums of whole hours, and of the events around them.

Used by ledger.usage, which reads, and ledger.rolling, which writes. Only fixed expressions and
whole numbers of ours are put into the text; names travel as parameters.
"""

from collections.abc import Sequence

from ledger.amounts import SPLIT
from ledger.events import TOKEN_BUCKETS
from ledger.usage_sql import AMOUNTS, SAVING

HOUR_US = 3_600_000_000
TOTAL = "total"
Window = tuple[int, int]  # half-open, unix microseconds or hours

# What an hour is summed by; by day and by tenant its total serves.
_VALUES = {
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
_OF_HOUR = {
    "day": "formatDateTime(fromUnixTimestamp64Micro(hour * 3600000000, 'UTC'), '%F')",
    "tenant": "toString(tenant)",
}
_OF_EVENT = {
    "day": "formatDateTime(fromUnixTimestamp64Micro(at_us, 'UTC'), '%F')",
    "tenant": "tenant",
}
_IS_ESTIMATE = "has_estimate AND usage_source = 'unknown'"
_IS_LONE = "is_final AND attempt = 1"  # the only attempt of its request
_RETRIED = "unpriced_retried"


def _halves(expression: str, name: str, condition: str = "1") -> dict[str, str]:
    """The two halves of an exact sum; nothing but unknown ones sum to 0."""
    return {
        f"{name}_high": f"ifNull(sumIf(intDiv({expression}, {SPLIT}), {condition}), 0)",
        f"{name}_low": f"ifNull(sumIf(modulo({expression}, {SPLIT}), {condition}), 0)",
    }


# Column -> what it is of the ENDs of an hour. All but one are added up; that one is merged.
SUMS: dict[str, str] = {
    "requests": "countIf(is_final)",
    "ended": "count()",
    "errors": "countIf(is_final AND outcome NOT IN ('ok', 'client_closed'))",
    "cache_hits": "countIf(is_final AND cache = 'hit')",
    "coalesced": "countIf(is_final AND cache = 'coalesced')",
    "unpriced_lone": f"countIf(isNull(cost_picousd) AND {_IS_LONE})",
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
_STATE = (
    f"uniqExactStateIf(toString(tenant), request_id, isNull(cost_picousd) AND NOT ({_IS_LONE}))"
)
_END_COLUMNS = (
    *("event_id", "tenant", "request_id", "attempt", "at_us", "key_id", "requested_model"),
    *("served_model", "upstream", "cache", "arm", "tags", "outcome", "is_final", "usage_source"),
    *("cost_picousd", "price_state", "gross_baseline_picousd", "baseline_price_state"),
    *TOKEN_BUCKETS,
)
_START_COLUMNS = (
    *("event_id", "at_us", "tenant", "writer", "requested_model", "upstream_model", "key_id"),
    *("tags", "upstream", "cache", "arm"),
)
_BY_TENANT = "({tenant:String} = '' OR tenant = {tenant:String})"
_LATEST = """
    SELECT hour, max(version) FROM usage_rolled
    WHERE hour >= {first:Int64} AND hour < {last:Int64} GROUP BY hour
"""
DIRTY = """
SELECT hour, marks.counted AS inserts, rolled.latest AS version
FROM (
    SELECT hour, sum(inserts) AS counted FROM usage_hour_marks
    WHERE hour >= {first:Int64} AND hour < {last:Int64} GROUP BY hour
) AS marks
LEFT JOIN (
    SELECT hour, max(version) AS latest, argMax(inserts, version) AS covered FROM usage_rolled
    WHERE hour >= {first:Int64} AND hour < {last:Int64} GROUP BY hour
) AS rolled ON marks.hour = rolled.hour
WHERE marks.counted != rolled.covered
ORDER BY hour
"""


def sums_by(group_by: str, windows: Sequence[Window], hours: Sequence[Window]) -> str:
    """Sums by `group_by` and in total: of events in `windows`, and of hours outside `hours`.

    Parameters first, last (hours that lie whole in the period) and tenant ("" for all).
    """
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    parts = [_hours_of(group_by, hours)]
    if windows:
        groups = _groups(group_by)
        parts.append(_ends(windows, groups, "", _BY_TENANT))
    return f"""
SELECT kind, value, {sums}, unpriced_lone + uniqExactMerge({_RETRIED}) AS unpriced_requests
FROM ({" UNION ALL ".join(parts)})
GROUP BY kind, value
"""  # noqa: S608  our own text


def _hours_of(group_by: str, hours: Sequence[Window]) -> str:
    columns = ", ".join((*SUMS, _RETRIED))
    if group_by in _OF_HOUR:
        group, joined = (
            "g.1 AS kind, g.2 AS value",
            (f"ARRAY JOIN [('{TOTAL}', ''), ('{group_by}', {_OF_HOUR[group_by]})] AS g"),
        )
        kinds = f"dimension = '{TOTAL}'"
    else:
        group, joined = "toString(dimension) AS kind, usage_hourly.value AS value", ""
        kinds = f"dimension IN ('{TOTAL}', '{group_by}')"
    return f"""
SELECT {group}, {columns} FROM usage_hourly {joined}
WHERE {kinds} AND {_BY_TENANT} AND hour >= {{first:Int64}} AND hour < {{last:Int64}}
    {_outside("hour", hours)} AND (hour, version) IN ({_LATEST})
"""  # noqa: S608  our own text


def _groups(group_by: str, served_model: str = "served_model") -> str:
    """The groups of one event, as an array of (dimension, value)."""
    if group_by == "tag":
        return f"arrayConcat([('{TOTAL}', '')], arrayMap(v -> ('tag', v), {_TAG_VALUES}))"
    of_event = {**_VALUES, **_OF_EVENT, "served_model": served_model}
    return f"[('{TOTAL}', ''), ('{group_by}', toString({of_event[group_by]}))]"


def _all_groups() -> str:
    pairs = ", ".join(f"('{name}', toString({value}))" for name, value in _VALUES.items())
    tags = f"arrayMap(v -> ('tag', v), {_TAG_VALUES})"
    return f"arrayConcat([('{TOTAL}', ''), {pairs}], {tags})"


def _ends(windows: Sequence[Window], groups: str, keys: str, condition: str = "1") -> str:
    """Sums of ENDs in windows by each of their groups, and by `keys` where there are any."""
    sums = ", ".join(f"{expression} AS {name}" for name, expression in SUMS.items())
    inside = _inside(windows)
    return f"""
SELECT {keys} g.1 AS kind, g.2 AS value, {sums}, {_STATE} AS {_RETRIED}
FROM (
    SELECT * FROM (
        SELECT {", ".join(_END_COLUMNS)}, intDiv(at_us, 3600000000) AS hour
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


def roll_sums(windows: Sequence[Window], version: int) -> str:
    """Sum whole hours into usage_hourly."""
    columns = ", ".join(("hour", "tenant", "dimension", "value", *SUMS, _RETRIED, "version"))
    ends = _ends(windows, _all_groups(), "hour, tenant,")
    return f"INSERT INTO usage_hourly ({columns}) SELECT *, {version} FROM ({ends})"  # noqa: S608


def roll_unended(windows: Sequence[Window], version: int) -> str:
    """Keep the STARTs of whole hours that have no END near."""
    columns = ", ".join(_START_COLUMNS)
    return f"""
INSERT INTO usage_unended (hour, version, {columns})
SELECT intDiv(at_us, 3600000000), {version}, {columns} FROM ({_near_unended(windows)})
"""  # noqa: S608  our own text


def count_events(windows: Sequence[Window]) -> str:
    """How many events each hour holds."""
    return f"""
SELECT intDiv(at_us, 3600000000) AS hour, count() AS events FROM usage_events FINAL
WHERE {_inside(windows)} GROUP BY hour
"""  # noqa: S608  our own text


def unended_by(group_by: str, windows: Sequence[Window], hours: Sequence[Window]) -> str:
    """STARTs by `group_by` and in total that have no END near: more than those without any.

    Parameters as of `sums_by`, and open_since, open_writers: attempts that may be under way.
    """
    groups = _groups(group_by, "upstream_model")
    return f"""
SELECT g.1 AS kind, g.2 AS value, count() AS unknown_attempts
FROM ({_candidates(windows, hours)}) ARRAY JOIN {groups} AS g GROUP BY kind, value
"""  # noqa: S608  our own text


def unknown_among(group_by: str, windows: Sequence[Window], hours: Sequence[Window]) -> str:
    """Those of `unended_by` that have no END anywhere; parameters as there."""
    groups = _groups(group_by, "upstream_model")
    return f"""
WITH candidates AS ({_candidates(windows, hours)})
SELECT g.1 AS kind, g.2 AS value, count() AS unknown_attempts
FROM candidates ARRAY JOIN {groups} AS g
WHERE event_id NOT IN (
    SELECT start_id FROM usage_events
    WHERE kind = 'end' AND start_id IN (SELECT event_id FROM candidates)
)
GROUP BY kind, value
"""  # noqa: S608  our own text


def _candidates(windows: Sequence[Window], hours: Sequence[Window]) -> str:
    columns = ", ".join(_START_COLUMNS)
    of_hours = f"""
SELECT {columns} FROM usage_unended
WHERE {_BY_TENANT} AND hour >= {{first:Int64}} AND hour < {{last:Int64}}
    {_outside("hour", hours)} AND (hour, version) IN ({_LATEST})
"""  # noqa: S608  our own text
    parts = [of_hours]
    if windows:
        parts.append(_near_unended(windows, _BY_TENANT))
    return f"""
SELECT {columns} FROM ({" UNION ALL ".join(parts)})
WHERE NOT (at_us >= {{open_since:Int64}} AND writer IN {{open_writers:Array(String)}})
"""  # noqa: S608  our own text


def _near_unended(windows: Sequence[Window], condition: str = "1") -> str:
    """STARTs in windows without an END in them or within an hour of them."""
    near = [(since - HOUR_US, until + HOUR_US) for since, until in windows]
    return f"""
SELECT {", ".join(_START_COLUMNS)} FROM usage_events FINAL
WHERE kind = 'start' AND {_inside(windows)} AND {condition} AND event_id NOT IN (
    SELECT start_id FROM usage_events WHERE kind = 'end' AND {_inside(near)} AND {condition}
)
"""  # noqa: S608  our own text


def _inside(windows: Sequence[Window]) -> str:
    ranges = (f"(at_us >= {since} AND at_us < {until})" for since, until in windows)
    return f"({' OR '.join(ranges)})"


def _outside(column: str, windows: Sequence[Window]) -> str:
    return "".join(
        f" AND NOT ({column} >= {since} AND {column} < {until})" for since, until in windows
    )
