"""The drawn charts: well-formed, inside their frame, and true to the values."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from bench.demo.charts import HEIGHT, WIDTH, Series, bar_chart, line_chart, nice_step

VALUES = st.floats(0, 1e12)


def whole(value: float) -> str:
    return f"{value:.0f}"


def svg_of(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{chart}</div>")  # noqa: S314  it is our own


@given(points=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20), is_log_x=st.booleans())
def test_lines_stay_inside_the_frame(points: list[tuple[float, float]], is_log_x: bool) -> None:
    chart = line_chart([Series("a < b", "s0", points)], "x", whole, whole, is_log_x=is_log_x)
    line = next(each for each in svg_of(chart).iter() if each.tag == "polyline")
    for x, y in (pair.split(",") for pair in line.attrib["points"].split()):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


def test_bars_are_as_high_as_their_values() -> None:
    series = [Series("one", "s0", [(0, 10), (1, 5)]), Series("two", "s1", [(0, 0), (1, 10)])]
    chart = bar_chart(["a", "b"], series, "group", whole)
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([\d.]+)"', chart)]
    assert abs(heights[0] - 2 * heights[1]) < 0.3
    assert heights[2] == 0
    assert heights[3] == heights[0]
    assert "b, one: 5" in chart


def test_nothing_gives_a_word_and_no_chart() -> None:
    assert "nothing" in line_chart([], "x", whole, whole)
    assert "nothing" in bar_chart([], [], "x", whole)


@given(st.floats(1e-6, 1e9))
def test_steps_are_round_and_no_smaller(rough: float) -> None:
    step = nice_step(rough)
    assert rough * 0.99 <= step <= rough * 10
    assert f"{step:e}"[0] in "125"
