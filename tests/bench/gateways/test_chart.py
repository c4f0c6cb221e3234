"""The chart: well-formed, inside its frame, longer for more."""

from xml.etree import ElementTree

from bench.gateways.chart import WIDTH, draw
from tests.bench.gateways.samples import report, run


def bars(svg: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)  # noqa: S314  it is our own
    return [each for each in root.iter() if each.tag.endswith("rect")]


def test_the_fastest_is_first_and_longest() -> None:
    svg = draw(report(miss_1k={"apex": [run(200)], "nginx": [run(9000)], "litellm": [run(12)]}))
    widths = [float(each.attrib["width"]) for each in bars(svg)]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 3
    assert [each.attrib["class"] for each in bars(svg)] == ["bar", "bar ours", "bar"]
    assert all(
        float(each.attrib["x"]) + width <= WIDTH
        for each, width in zip(bars(svg), widths, strict=True)
    )


def test_one_panel_for_each_kind_of_work_that_was_measured() -> None:
    svg = draw(report(miss_1k={"apex": [run()]}, hit_1k={"apex": [run()], "constant": [run()]}))
    assert len(bars(svg)) == 3
    assert "Exact hit, 1 KB" in svg
    assert "Miss, 32 KB" not in svg


def test_names_are_escaped_and_nothing_is_no_fault() -> None:
    made = report(miss_1k={"apex": [run()]})
    made.entries["apex"].title = "<apex & friends>"
    assert "&lt;apex &amp; friends&gt;" in draw(made)
    assert bars(draw(report())) == []
