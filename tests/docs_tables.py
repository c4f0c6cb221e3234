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

ROOT = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Rows = list[tuple[str, str, str]]


def metric_rows() -> Rows:
    return [
        (family.name, ", ".join((family.kind, *family.label_names)), family.help)
        for family in METRICS
    ]


# document -> table name -> (title of the first two columns, rows)
TABLES: dict[str, dict[str, tuple[str, str, Rows]]] = {
    "docs/configuration.md": {
        "settings": ("variable", "default", describe_settings()),
        "config": ("key", "default", describe_config()),
        "policy": ("key", "default", describe_model(Policy)),
    },
    "docs/demo.md": {
        "origins": ("what", "kind", [(each.what, each.kind, each.how) for each in ORIGINS])
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


def fill(text: str, tables: dict[str, tuple[str, str, Rows]]) -> str:
    """The document with every generated table as the code has it now."""
    return TABLE.sub(lambda found: found[1] + render(*tables[found[2]]) + found[3], text)


def main() -> None:
    for name, tables in TABLES.items():
        path = ROOT / name
        path.write_text(fill(path.read_text(), tables))


if __name__ == "__main__":
    main()
