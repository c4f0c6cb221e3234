"""What a row of the fault matrix is: a fault, and everything that must come of it.

The rows are in upstream_rows.py and its neighbours. test_upstream_rows.py runs them, and
tests/docs_tables.py prints them as docs/faults.md: one table, so that the two cannot part.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from config.operator import Timeouts
from tests.fault_replies import Reply

# Long enough that a slow machine is not taken for a fault.
PATIENT = Timeouts(connect_s=30, first_token_s=90, idle_s=90, total_s=180, stream_headers_s=90)
# For what must run into a deadline; nothing else is measured with it.
HASTY = Timeouts(connect_s=0.4, first_token_s=0.5, idle_s=0.4, total_s=0.9, stream_headers_s=30)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one call: expected by a row, observed by a run.

    `client` is what the official client made of it, `calls` how often the upstream was asked,
    `recorded` the ENDs in the usage log, `is_rescued` whether a second upstream's answer takes
    its place, `is_kept` whether the same call again is answered without asking.
    """

    client: str
    calls: int
    recorded: str
    is_rescued: bool = True
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `place` names an address to call instead of the scripted upstream's.

    Without an expectation for documents, or for streams, the fault is of the other alone.
    """

    name: str
    document: Seen | None
    stream: Seen | None
    reply: Reply | None = None
    place: str = ""
    timeouts: Timeouts = PATIENT


def alike(name: str, seen: Seen, reply: Reply | None = None, **fields: object) -> Row:
    """Make the row of a fault that is the same for both kinds of call."""
    return Row(name, seen, seen, reply, **fields)  # type: ignore[arg-type]


def streamed(name: str, seen: Seen, reply: Reply, timeouts: Timeouts = PATIENT) -> Row:
    """Make the row of a fault that only a stream can have."""
    return Row(name, None, seen, reply, timeouts=timeouts)


def table_of(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| fault | call | the client sees | upstream calls | recorded | second upstream | kept |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.document == row.stream and row.document is not None:
            lines.append(_line(row.name, "both", row.document))
            continue
        for call, seen in (("document", row.document), ("stream", row.stream)):
            if seen is not None:
                lines.append(_line(row.name, call, seen))
    return "\n".join(lines) + "\n"


def _line(name: str, call: str, seen: Seen) -> str:
    answered = "-" if seen.client == "the answer" else "not asked"
    second = "answers" if seen.is_rescued else answered
    kept = "yes" if seen.is_kept else "no"
    return (
        f"| {name} | {call} | {seen.client} | {seen.calls} | {seen.recorded} | {second} | {kept} |"
    )
