"""When API keys were last used, from the usage events; asked for by roles/last_use.py."""

from storage.columnar import Columnar

_LAST = """
SELECT key_id, max(at_us) AS last_us
FROM usage_events
WHERE kind = 'end' AND at_us >= {since:Int64}
GROUP BY key_id
"""


async def read_last_use(columnar: Columnar, since_us: int) -> dict[str, int]:
    """By key id, the microsecond of its last event since then; other keys are left out.

    An event that is there twice changes no maximum. Raises ColumnarError.
    """
    rows = await columnar.query(_LAST, {"since": since_us})
    return {str(row["key_id"]): int(row["last_us"]) for row in rows}
