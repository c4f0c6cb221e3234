"""The chart of a report as a stand-alone SVG: requests a second on a logarithmic scale. Pure."""

from html import escape

from bench.demo.charts import Axis
from bench.gateways.figures import Report, Spread
from bench.gateways.scenarios import Scenario, find_scenario

WIDTH, LEFT, RIGHT = 760, 190, 110
BAR, GAP, HEAD, FOOT = 18, 8, 40, 18
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2430}.head{font-weight:600}.grid{stroke:#d5d9e0}"
    ".bar{fill:#9aa5b8}.ours{fill:#2563c9}.range{stroke:#1f2430}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e9ef}.grid{stroke:#3b4252}"
    ".bar{fill:#6b7690}.ours{fill:#5b93ee}.range{stroke:#e6e9ef}}"
)
DRAWN = ("miss-1k", "miss-32k", "hit-1k", "hit-32k")

Bar = tuple[str, str, Spread]  # gateway, title, req/s


def draw(report: Report) -> str:
    """One panel for each kind of work that was measured."""
    panels = [(find_scenario(name), bars_of(report, name)) for name in DRAWN]
    panels = [(scenario, bars) for scenario, bars in panels if bars]
    drawn, top = [], 0.0
    for scenario, bars in panels:
        drawn.append(panel(scenario, bars, top))
        top += HEAD + len(bars) * (BAR + GAP) + FOOT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {max(top, 1):.0f}" '
        f'role="img" aria-label="Requests a second by gateway"><style>{STYLE}</style>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def bars_of(report: Report, scenario: str) -> list[Bar]:
    """The fastest first."""
    found = [
        (name, report.entries[name].title, spread)
        for name in report.runs.get(scenario, {})
        for spread in [report.spread(scenario, name, "rps")]
        if spread is not None and spread.median > 0 and name in report.entries
    ]
    return sorted(found, key=lambda bar: -bar[2].median)


def panel(scenario: Scenario, bars: list[Bar], top: float) -> str:
    rates = [rate for _, _, spread in bars for rate in (spread.low, spread.high) if rate > 0]
    axis = Axis(10 ** (len(str(int(min(rates)))) - 1), max(rates), LEFT, WIDTH - RIGHT, is_log=True)
    bottom = top + HEAD + len(bars) * (BAR + GAP)
    grid = "".join(
        f'<path class="grid" d="M{axis.place(tick)} {top + HEAD - 6:.0f}V{bottom:.0f}"/>'
        for tick in axis.ticks()
    )
    title = f"{scenario.title}: requests a second, logarithmic, least to most"
    head = f'<text class="head" x="8" y="{top + 22:.0f}">{escape(title)}</text>'
    rows = [
        one_bar(bar, axis, top + HEAD + number * (BAR + GAP)) for number, bar in enumerate(bars)
    ]
    return head + grid + "".join(rows)


def one_bar(bar: Bar, axis: Axis, y: float) -> str:
    name, title, spread = bar
    end, low, high = (axis.place(value) for value in (spread.median, spread.low, spread.high))
    style = "bar ours" if name == "apex" else "bar"
    middle, base = y + BAR / 2, y + BAR - 4
    return (
        f'<text x="{LEFT - 8}" y="{base:.0f}" text-anchor="end">{escape(title)}</text>'
        f'<rect class="{style}" x="{LEFT}" y="{y:.0f}" '
        f'width="{max(end - LEFT, 1):.1f}" height="{BAR}"/>'
        f'<path class="range" d="M{low} {middle:.0f}H{high}"/>'
        f'<text x="{max(end, high) + 8:.1f}" y="{base:.0f}">{spread.median:,.0f}</text>'
    )
