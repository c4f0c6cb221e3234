"""Draws the demo's charts as inline SVG: lines, and bars in groups. Pure; called by page.py.

Colours are the page's CSS classes s0, s1, ... so that light and dark are the page's business.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 40
TICKS = 6
MOST_POINTS = 400
LEAST_LOG = 0.1  # a logarithm has no place for 0

Point = tuple[float, float]
Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or the bars of one colour; `style` is its CSS class."""

    name: str
    style: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` in data, `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / ((high - low) or 1.0)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        if self.is_log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = nice_step((self.high - self.low) / TICKS)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.is_log else value


def nice_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def line_chart(
    series: Sequence[Series], x_title: str, show_x: Show, show_y: Show, *, is_log_x: bool = False
) -> str:
    """Lines over a common x; y begins at 0."""
    points = [point for each in series for point in each.points]
    if not points:
        return empty_chart()
    least = LEAST_LOG if is_log_x else 0.0
    low, high = (max(least, edge(x for x, _ in points)) for edge in (min, max))
    across = Axis(low, high, LEFT, WIDTH - RIGHT, is_log_x)
    up = Axis(0, _height(y for _, y in points), HEIGHT - BOTTOM, TOP)
    paths = [
        f'<polyline class="line {each.style}" points="{_path(each.points, across, up)}"/>'
        for each in series
    ]
    return _frame(series, x_title, _x_axis(across, show_x) + _y_axis(up, show_y), paths)


def _path(points: Sequence[Point], across: Axis, up: Axis) -> str:
    step = max(1, len(points) // MOST_POINTS)
    kept = [*points[::step], points[-1]]
    return " ".join(f"{across.place(x)},{up.place(y)}" for x, y in kept)


def bar_chart(groups: Sequence[str], series: Sequence[Series], x_title: str, show_y: Show) -> str:
    """One group of bars for each name; a series' points are (index of the group, height)."""
    heights = [y for each in series for _, y in each.points]
    if not heights:
        return empty_chart()
    up = Axis(0, _height(heights), HEIGHT - BOTTOM, TOP)
    slot = (WIDTH - LEFT - RIGHT) / len(groups)
    width = slot * 0.72 / len(series)
    bars = []
    for number, each in enumerate(series):
        for index, height in each.points:
            x = LEFT + slot * (index + 0.14) + width * number
            top = up.place(height)
            shown = f"{groups[int(index)]}, {each.name}: {show_y(height)}"
            bars.append(
                f'<rect class="bar {each.style}" x="{x:.1f}" y="{top}" width="{width * 0.94:.1f}" '
                f'height="{HEIGHT - BOTTOM - top:.1f}"><title>{escape(shown)}</title></rect>'
            )
    names = "".join(
        _text(LEFT + slot * (index + 0.5), HEIGHT - BOTTOM + 15, name, "middle")
        for index, name in enumerate(groups)
    )
    return _frame(series, x_title, names + _y_axis(up, show_y), bars)


def _height(values: Iterable[float]) -> float:
    """A little above the highest; never 0, which could not be divided by."""
    return (max(values) or 1.0) * 1.05


def empty_chart() -> str:
    return '<p class="note">nothing to draw</p>'


def _x_axis(axis: Axis, show: Show) -> str:
    return "".join(
        _text(axis.place(tick), HEIGHT - BOTTOM + 15, show(tick), "middle") for tick in axis.ticks()
    )


def _y_axis(axis: Axis, show: Show) -> str:
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axis.place(tick)}" '
        f'y2="{axis.place(tick)}"/>' + _text(LEFT - 7, axis.place(tick) + 4, show(tick), "end")
        for tick in axis.ticks()
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(series: Sequence[Series], x_title: str, axes: str, marks: Sequence[str]) -> str:
    legend = "".join(
        f'<span><i class="swatch {each.style}"></i>{escape(each.name)}</span>' for each in series
    )
    title = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_title, "middle")
    names = escape(", ".join(each.name for each in series))
    return (
        f'<div class="legend">{legend}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{names}">'
        f"{axes}{''.join(marks)}{title}</svg>"
    )
