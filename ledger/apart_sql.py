"""The statements behind what of usage cannot be added up: requests without a price, lost attempts.

Used by ledger.usage and ledger.rolling, as bucket_sql. Each hour keeps a list of the few events in
question; what became of them since is looked up when they are asked about.
"""

from collections.abc import Sequence

from ledger.bucket_plan import HOUR_US, Window
from ledger.bucket_sql import BY_TENANT, IS_LONE, columns_of, groups_of, latest_of, within
from ledger.events import END, START

_COLUMNS = (
    *("kind", "event_id", "request_id", "at_us", "tenant", "writer", "requested_model"),
    *("served_model", "key_id", "tags", "upstream", "cache", "arm"),
)
_RETRIED = f"kind = '{END}' AND isNull(cost_picousd) AND NOT ({IS_LONE})"
_MAY_BE_OPEN = "at_us >= {open_since:Int64} AND writer IN {open_writers:Array(String)}"


def unpriced_by(group_by: str, hours: Sequence[Window], events: Sequence[Window]) -> str:
    """Requests without a price that took several attempts, by `group_by` and in total.

    Parameter tenant ("" for all).
    """
    columns = sorted({"tenant", "request_id", *columns_of(group_by)})
    parts = [
        *([_kept(END, hours, columns)] if hours else []),
        *([_events(_RETRIED, events, columns, BY_TENANT)] if events else []),
    ]
    return f"""
SELECT g.1 AS kind, g.2 AS value, uniqExact(tenant, request_id) AS unpriced_retried
FROM ({" UNION ALL ".join(parts)})
ARRAY JOIN {groups_of(group_by)} AS g GROUP BY kind, value
"""  # noqa: S608  our own text


def unended_by(
    group_by: str, hours: Sequence[Window], events: Sequence[Window], stale: Sequence[Window]
) -> str:
    """STARTs without END by `group_by` and in total; `doubtful` of them may have one far away.

    Parameters tenant, open_since and open_writers: attempts that may be under way.
    """
    candidates = _candidates(group_by, hours, events, stale)
    return f"""
SELECT g.1 AS kind, g.2 AS value, count() AS unknown_attempts, sum(is_event) AS doubtful
FROM ({candidates})
ARRAY JOIN {groups_of(group_by)} AS g GROUP BY kind, value
"""  # noqa: S608  our own text


def unknown_among(
    group_by: str, hours: Sequence[Window], events: Sequence[Window], stale: Sequence[Window]
) -> str:
    """As `unended_by`, with an END looked for in all there is; parameters as there."""
    candidates = _candidates(group_by, hours, events, stale)
    return f"""
WITH candidates AS ({candidates})
SELECT g.1 AS kind, g.2 AS value, count() AS unknown_attempts
FROM candidates ARRAY JOIN {groups_of(group_by)} AS g
WHERE event_id NOT IN (
    SELECT start_id FROM usage_events
    WHERE kind = '{END}' AND start_id IN (SELECT event_id FROM candidates)
)
GROUP BY kind, value
"""  # noqa: S608  our own text


def roll_retried(windows: Sequence[Window], version: int) -> str:
    """Keep the ENDs of whole hours that unpriced requests of several attempts have."""
    return _roll(_events(_RETRIED, windows, _COLUMNS), version)


def roll_unended(windows: Sequence[Window], version: int) -> str:
    """Keep the STARTs of whole hours that have no END in all there is."""
    return f"""
INSERT INTO usage_apart (hour, version, {", ".join(_COLUMNS)})
WITH candidates AS ({_near_unended(windows, _COLUMNS)})
SELECT intDiv(at_us, {HOUR_US}), {version}, * FROM candidates
WHERE event_id NOT IN (
    SELECT start_id FROM usage_events
    WHERE kind = '{END}' AND start_id IN (SELECT event_id FROM candidates)
)
"""  # noqa: S608  our own text


def roll_late_ends(windows: Sequence[Window]) -> str:
    """Note which STARTs that were kept have an END in these windows."""
    return f"""
INSERT INTO usage_late_ends SELECT start_id FROM usage_events
WHERE kind = '{END}' AND {within("at_us", windows)}
    AND start_id IN (SELECT event_id FROM usage_apart WHERE kind = '{START}')
"""  # noqa: S608  our own text


def _roll(events: str, version: int) -> str:
    columns = ", ".join(_COLUMNS)
    return f"""
INSERT INTO usage_apart (hour, version, {columns})
SELECT intDiv(at_us, {HOUR_US}), {version}, {columns} FROM ({events})
"""  # noqa: S608  our own text


def _candidates(
    group_by: str, hours: Sequence[Window], events: Sequence[Window], stale: Sequence[Window]
) -> str:
    columns = sorted({"event_id", "at_us", "tenant", "writer", *columns_of(group_by)})
    parts = [
        *([_kept(START, hours, [*columns, "0 AS is_event"])] if hours else []),
        *([_near_unended(events, [*columns, "1 AS is_event"], BY_TENANT)] if events else []),
    ]
    return f"""
SELECT * FROM ({" UNION ALL ".join(parts)})
WHERE NOT ({_MAY_BE_OPEN})
    AND event_id NOT IN (SELECT start_id FROM usage_late_ends)
    AND event_id NOT IN (
        SELECT start_id FROM usage_events WHERE kind = '{END}' AND {within("at_us", stale)}
    )
"""  # noqa: S608  our own text


def _kept(kind: str, hours: Sequence[Window], columns: Sequence[str]) -> str:
    return f"""
SELECT {", ".join(columns)} FROM usage_apart
WHERE kind = '{kind}' AND {BY_TENANT} AND {within("hour", hours)}
    AND (hour, version) IN ({latest_of(1)})
"""  # noqa: S608  our own text


def _near_unended(windows: Sequence[Window], columns: Sequence[str], condition: str = "1") -> str:
    """STARTs in windows without an END in them or within an hour of them."""
    near = [(since - HOUR_US, until + HOUR_US) for since, until in windows]
    ended = f"SELECT start_id FROM usage_events WHERE kind = '{END}' AND {within('at_us', near)}"  # noqa: S608
    return _events(f"kind = '{START}' AND event_id NOT IN ({ended})", windows, columns, condition)


def _events(
    which: str, windows: Sequence[Window], columns: Sequence[str], condition: str = "1"
) -> str:
    """Events with these columns; a START is served by the model it was sent to."""
    served = f"if(kind = '{START}', upstream_model, served_model) AS served_model"
    read = ", ".join(served if name == "served_model" else name for name in columns)
    return f"""
SELECT {read} FROM usage_events FINAL
WHERE {which} AND {within("at_us", windows)} AND {condition}
"""  # noqa: S608  our own text
