"""The Markdown: well-formed tables, figures with their ends, and a word for what is missing."""

from bench.gateways.figures import Spread
from bench.gateways.tables import render, show, shown_number, table, whole
from tests.bench.gateways.samples import report, run


def lines_with(page: str, text: str) -> list[str]:
    return [line for line in page.splitlines() if text in line]


def test_every_row_has_as_many_cells_as_the_head() -> None:
    made = report(miss_1k={"apex": [run(100)], "bare": [run(50)]}, calm_1k={"direct": [run()]})
    made.entries["bare"].trouble = "a | b"
    blocks = [part for part in render(made, "x.svg").split("\n\n") if part.startswith("|")]
    assert len(blocks) > 3
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("x|y",)]).splitlines()[-1] == "| x/y |"


def test_a_figure_shows_its_ends_only_where_they_differ() -> None:
    assert show(Spread(1500, 1200, 1600), whole) == "1,500 (1,200-1,600)"
    assert show(Spread(2, 2, 2), shown_number, "x") == "2 x"
    assert show(None, whole) == "-"


def test_a_verdict_stands_beside_each_floor() -> None:
    page = render(report(miss_1k={"apex": [run(160)], "bare": [run(100)]}), "x.svg")
    (line,) = lines_with(page, "req/s over bare aiohttp | 1.6 x")
    assert line.endswith("| >= 1.5 x | >= 2 x | reached |")
    (line,) = lines_with(page, "req/s over LiteLLM")
    assert line.endswith("| not measured |")


def test_who_is_missing_says_why() -> None:
    made = report(miss_1k={"apex": [run()], "nginx": []})
    made.entries["nginx"].trouble = "not installed (run bench/peers.sh)"
    page = render(made, "x.svg")
    assert "| Nginx | not installed (run bench/peers.sh) |" in page
    assert "- Nginx: not installed (run bench/peers.sh)" in page


def test_who_fails_in_one_kind_of_work_keeps_the_figures_of_another() -> None:
    made = report(miss_1k={"portkey": [run(300)]}, streams={"bare": [run(seen=9)]})
    made.entries["portkey"].troubles["streams"] = "no correct answer: status 500"
    page = render(made, "x.svg")
    assert lines_with(page, "| Portkey | 300 |")
    assert lines_with(page, "| Portkey | no correct answer: status 500 |")


def test_wrong_answers_are_counted_over_all_rounds() -> None:
    page = render(report(miss_1k={"bare": [run(bad=2), run(err=3)]}), "x.svg")
    (line,) = lines_with(page, "| Bare | 500")
    assert line.endswith("| 5 |")
