"""The tables in docs/ that are made from the code; `python -m tests.docs_tables` rewrites them.

tests/test_docs.py compares them, so a setting without its line in the docs fails the tests.
"""

import re
from pathlib import Path

from bench.demo.origins import ORIGINS
from config.metrics_table import METRICS
from config.operator import describe_config
from config.settings import describe_settings
from config.validating import describe_model
from policies.model import Policy
from proxy.dialects.table import DIALECTS, GEMINI_VERBS, OPENAI_PATHS
from proxy.providers.families import FAMILIES
from proxy.providers.matrix import HINTS, WAYS
from tests.admin_api.authorisation import permission_table, route_table
from tests.faults.bad_input_rows import INPUT_ROWS, input_table
from tests.faults.caller_rows import caller_table
from tests.faults.framing_rows import FRAMING_ROWS, framing_table
from tests.faults.row import table_of
from tests.faults.rows_bodies import BODY_ROWS
from tests.faults.rows_status import CONNECTION_ROWS, STATUS_ROWS
from tests.faults.rows_streams import BROKEN_STREAM_ROWS, UNUSUAL_STREAM_ROWS
from tests.roles.engine_rows import engine_table
from tests.stacks.catalogue import stack_table

ROOT = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Rows = list[tuple[str, str, str]]


def metric_rows() -> Rows:
    return [
        (family.name, ", ".join((family.kind, *family.label_names)), family.help)
        for family in METRICS
    ]


def dialect_table() -> str:
    """What becomes of each inbound dialect at each family of upstreams."""
    words = {"relay": "relay", "translate": "translate", "refuse": "400"}
    lines = [
        "| dialect | spoken at | " + " | ".join(FAMILIES) + " |",
        "|---|---|" + "---|" * len(FAMILIES),
    ]
    for endpoint in DIALECTS:
        cells = [words[WAYS[endpoint, family].action] for family in FAMILIES]
        paths = ", ".join(f"`{path}`" for path in paths_of(endpoint))
        lines.append(f"| {endpoint} | {paths} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def hint_table() -> str:
    """What the 400 of a refused cell says."""
    lines = ["| dialect | the hint |", "|---|---|"]
    lines += [f"| {endpoint} | {hint} |" for endpoint, hint in HINTS.items()]
    return "\n".join(lines) + "\n"


def paths_of(endpoint: str) -> list[str]:
    """Return the paths a dialect is spoken at."""
    own = [path for path, dialect in OPENAI_PATHS.items() if dialect.endpoint == endpoint]
    own += [
        f"/v1beta/models/{{model}}:{verb}"
        for verb, dialect in GEMINI_VERBS.items()
        if dialect.endpoint == endpoint
    ]
    return own


# document -> table name -> (title of the first two columns, rows), or the table itself
TABLES: dict[str, dict[str, tuple[str, str, Rows] | str]] = {
    "docs/authorisation.md": {"permissions": permission_table(), "routes": route_table()},
    "docs/configuration.md": {
        "settings": ("variable", "default", describe_settings()),
        "config": ("key", "default", describe_config()),
        "policy": ("key", "default", describe_model(Policy)),
    },
    "docs/clients.md": {"clients": stack_table()},
    "docs/dialects.md": {"dialects": dialect_table(), "hints": hint_table()},
    "docs/demo.md": {
        "origins": ("what", "kind", [(each.what, each.kind, each.how) for each in ORIGINS])
    },
    "docs/engines.md": {"engines": engine_table()},
    "docs/faults.md": {
        "statuses": table_of(STATUS_ROWS),
        "connections": table_of(CONNECTION_ROWS),
        "bodies": table_of(BODY_ROWS),
        "broken_streams": table_of(BROKEN_STREAM_ROWS),
        "unusual_streams": table_of(UNUSUAL_STREAM_ROWS),
        "callers": caller_table(),
        "framing": framing_table(FRAMING_ROWS),
        "inputs": input_table(INPUT_ROWS),
    },
    "docs/operating.md": {"metrics": ("metric", "kind, labels", metric_rows())},
}


def render(first: str, second: str, rows: Rows) -> str:
    """The rows as a Markdown table."""
    lines = [f"| {first} | {second} | meaning |", "|---|---|---|"]
    for name, value, meaning in rows:
        shown = (
            f"`{value}`"
            if second == "default" and value not in {"-", "none", "required"}
            else value
        )
        lines.append(f"| `{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def fill(text: str, tables: dict[str, tuple[str, str, Rows] | str]) -> str:
    """The document with every generated table as the code has it now."""

    def rendered(name: str) -> str:
        table = tables[name]
        return table if isinstance(table, str) else render(*table)

    return TABLE.sub(lambda found: found[1] + rendered(found[2]) + found[3], text)


def main() -> None:
    for name, tables in TABLES.items():
        path = ROOT / name
        path.write_text(fill(path.read_text(), tables))


if __name__ == "__main__":
    main()
