"""The report: its totals are the book's, and the committed one is current."""

import re
from pathlib import Path

from ledger.price_book import load_price_book
from ledger.price_summary import report_rows

REPORT = Path(__file__).resolve().parents[2] / "docs" / "price-report.md"


def test_the_committed_report_is_current() -> None:
    rows = report_rows(load_price_book())

    assert REPORT.read_text() == "\n".join(rows) + "\n", (
        "run: python main.py prices report > docs/price-report.md"
    )


def test_the_totals_are_those_of_the_book() -> None:
    book = load_price_book()
    rows = report_rows(book)
    total = next(row for row in rows if row.startswith("| all |"))

    counts = [int(count) for count in re.findall(r"\d+", total)]
    models = book.header()["models"]
    assert counts[:2] == [models["agreed"], models["disputed"]]
    shown = [row for row in rows if re.match(r"\| [a-z_]+ \| \d+ \| \d+ \|", row)][:-1]
    assert sum(int(row.split("|")[2]) for row in shown) == counts[0]


def test_every_disputed_model_is_named_with_a_reason() -> None:
    text = "\n".join(report_rows(load_price_book()))
    section = text.partition("## Disputed models")[2].partition("## Reviewed")[0]

    assert section.count("`") == 2 * load_price_book().header()["models"]["disputed"]
    assert "deepseek" in section
    assert "sources differ by more than 0.5%" in section
