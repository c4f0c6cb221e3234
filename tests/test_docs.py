"""The generated tables of docs/ are those the code gives; tests/docs_tables.py rewrites them."""

import re

import pytest

from tests.docs_tables import ROOT, TABLES, fill


@pytest.mark.parametrize("name", sorted(TABLES))
def test_generated_tables_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text()
    for table in TABLES[name]:
        assert f"<!-- generated: {table} -->" in text
    assert fill(text, TABLES[name]) == text, "run: .venv/bin/python -m tests.docs_tables"


@pytest.mark.parametrize(("document", "least"), [("wire.md", 33), ("faults.md", 20)])
def test_every_test_a_table_names_exists(document: str, least: int) -> None:
    text = (ROOT / "docs" / document).read_text()
    named = re.findall(r"`([a-z0-9_/]+\.py)::(test_\w+)`", text)
    assert len(named) >= least
    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), f"{path}::{name}"
