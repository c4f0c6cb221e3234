"""Which role runs on which engines: the rows of docs/engines.md, held against the program."""

from typing import NamedTuple

from roles.engines import ROLES, Role

SQL_URLS = {
    "SQLite": "sqlite+aiosqlite:////var/lib/apex/apex.db",
    "PostgreSQL": "postgresql+asyncpg://apex:secret@db.example/apex",
}
COLUMNAR_URLS = {
    "chDB": "chdb:///var/lib/apex/columnar",
    "ClickHouse": "clickhouse://apex:secret@ch.example:8123/usage",
    "ClickHouse over TLS": "clickhouses://apex:secret@ch.example:8443/usage",
}
YES = "yes"
WAITS = "yes; its events wait for `all` on this home"
NO_SQL = "refused: `APEX_SQL_URL`"
NO_COLUMNAR = "refused: `APEX_COLUMNAR_URL`"


class EngineRow(NamedTuple):
    """`roles` says what becomes of each role on these engines."""

    sql: str
    columnar: str
    roles: dict[Role, str]


def _row(sql: str, columnar: str, *words: str) -> EngineRow:
    return EngineRow(sql, columnar, dict(zip(ROLES, words, strict=True)))


ENGINE_ROWS = (
    #                                  all  proxy  admin        worker
    _row("SQLite", "chDB",             YES, WAITS, NO_COLUMNAR, NO_COLUMNAR),
    _row("SQLite", "ClickHouse",       YES, YES,   NO_SQL,      YES),
    _row("PostgreSQL", "chDB",         YES, WAITS, NO_COLUMNAR, NO_COLUMNAR),
    _row("PostgreSQL", "ClickHouse",   YES, YES,   YES,         YES),
    _row("PostgreSQL", "ClickHouse over TLS", YES, YES, YES,    YES),
)  # fmt: skip


def engine_table() -> str:
    """The rows as a Markdown table."""
    lines = ["| SQL | columnar | " + " | ".join(f"`{role}`" for role in ROLES) + " |"]
    lines.append("|---|---|" + "---|" * len(ROLES))
    for row in ENGINE_ROWS:
        cells = (row.sql, row.columnar, *(row.roles[role] for role in ROLES))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
