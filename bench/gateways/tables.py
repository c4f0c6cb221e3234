"""A report as Markdown: the floors first, then a table for each kind of work. Pure."""

from collections.abc import Callable, Iterable, Sequence

from bench.gateways.figures import Entry, Report, Spread
from bench.gateways.floors import FLOORS, Floor
from bench.gateways.scenarios import SCENARIOS, SUSTAINED_RPS, Scenario

Row = Sequence[str]
Cell = Callable[[Report, str, str], str]  # report, scenario, gateway
NOTHING = "-"


def render(report: Report, chart: str) -> str:
    """The whole page; `chart` is the file name of the picture beside it."""
    parts = [
        "# Benchmark results",
        f"Written by `{report.command}`; [benchmarks.md](../benchmarks.md) says how it is "
        "measured and what it does not show. Only ratios inside one run mean anything.",
        setting(report),
        "## Floors",
        "Ratios are of medians; in brackets the least and the most of the rounds. The verdict goes "
        "by the median.",
        table(("work", "measured", "floor", "moonshot", "verdict"), map_floors(report)),
        f"![Requests a second by gateway]({chart})",
        *(part for scenario in SCENARIOS for part in section(report, scenario)),
        "## Memory and cold start",
        memory_note(report),
        table(("gateway", "cold start s", "idle MiB", "after load MiB"), memory_rows(report)),
        *trouble_part(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def setting(report: Report) -> str:
    versions = ", ".join(
        f"{entry.title} {entry.version}" for entry in report.entries.values() if entry.version
    )
    lines = [
        f"- {report.machine}",
        f"- ours and the aiohttp yardsticks: {report.python}",
        f"- peers: {versions}" if versions else "",
        f"- {report.rounds} round(s) of {report.seconds:g} s, alternating; up to twice as long "
        "where there is less to count",
        "- every answer's status and body checked, streams for their number of events",
        f"- recorded by ours: {report.recorded}" if report.recorded else "",
        f"- its shipper, on the load's core: {report.shipper_us_per_request:.0f} us CPU a request"
        if report.shipper_us_per_request
        else "",
    ]
    return "\n".join(line for line in lines if line)


def table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in lines
    )


def map_floors(report: Report) -> list[Row]:
    return [floor_row(floor, floor.measure(report)) for floor in FLOORS]


def floor_row(floor: Floor, measured: Spread | None) -> Row:
    sign = "<= " if floor.is_lower_better else ">= "
    bounds = [
        NOTHING if bound is None else f"{sign}{bound:g} {floor.unit}"
        for bound in (floor.floor, floor.moonshot)
    ]
    return (floor.work, show(measured, shown_number, floor.unit), *bounds, floor.verdict(measured))


def shown_number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def milliseconds(value_us: float) -> str:
    return f"{value_us / 1000:.2f}"


def show(spread: Spread | None, form: Callable[[float], str], unit: str = "") -> str:
    """Median (least-most), or a dash."""
    if spread is None:
        return NOTHING
    ends = "" if spread.low == spread.high else f" ({form(spread.low)}-{form(spread.high)})"
    return f"{form(spread.median)}{' ' if unit else ''}{unit}{ends}"


def figure(name: str, form: Callable[[float], str]) -> Cell:
    return lambda report, scenario, gateway: show(report.spread(scenario, gateway, name), form)


def added(name: str) -> Cell:
    """Over the direct way, in ms, of medians."""

    def cell(report: Report, scenario: str, gateway: str) -> str:
        direct = report.median(scenario, "direct", name)
        through = report.median(scenario, gateway, name)
        return NOTHING if direct is None or through is None else milliseconds(through - direct)

    return cell


def wrong(report: Report, scenario: str, gateway: str) -> str:
    """Answers that were not as they should be, over all rounds."""
    return str(sum(run.bad + run.errors for run in report.runs_of(scenario, gateway)))


CPU = ("CPU us/request", figure("cpu_us_per_request", whole))
WRONG = ("wrong", wrong)
THROUGHPUT: Sequence[tuple[str, Cell]] = (
    ("req/s (min-max)", figure("rps", whole)), CPU,
    ("p50 ms", figure("p50_us", milliseconds)), ("p99 ms", figure("p99_us", milliseconds)), WRONG,
)  # fmt: skip
CALM: Sequence[tuple[str, Cell]] = (
    ("added p50 ms", added("p50_us")), ("p50 ms (min-max)", figure("p50_us", milliseconds)),
    ("p99 ms", figure("p99_us", milliseconds)), CPU, WRONG,
)  # fmt: skip
STREAMS: Sequence[tuple[str, Cell]] = (
    ("added to first token ms", added("first_token_us")),
    ("first token ms (min-max)", figure("first_token_us", milliseconds)),
    ("chunks/s", figure("events_per_s", whole)),
    ("CPU ms per 1000 chunks", figure("cpu_ms_per_1000_events", shown_number)),
    ("delay of a chunk ms", figure("hop_us", milliseconds)), WRONG,
)  # fmt: skip


def columns_of(scenario: Scenario) -> Sequence[tuple[str, Cell]]:
    if scenario.is_stream:
        return STREAMS
    return CALM if "direct" in scenario.contestants else THROUGHPUT


def section(report: Report, scenario: Scenario) -> list[str]:
    """Nothing for a scenario that nobody took part in."""
    if scenario.name not in report.runs:
        return []
    columns = columns_of(scenario)
    rows = [
        row(report, scenario, report.entries[name], columns)
        for name in scenario.contestants
        if name in report.entries
    ]
    return [f"## {scenario.title}", table(("gateway", *(head for head, _ in columns)), rows)]


def row(
    report: Report, scenario: Scenario, entry: Entry, columns: Sequence[tuple[str, Cell]]
) -> Row:
    if not report.runs_of(scenario.name, entry.name):
        reason = entry.troubles.get(scenario.name) or entry.trouble or "not measured"
        return (entry.title, shortened(reason), *[""] * (len(columns) - 1))
    return (entry.title, *(cell(report, scenario.name, entry.name) for _, cell in columns))


def shortened(reason: str, most_characters: int = 60) -> str:
    return reason if len(reason) <= most_characters else f"{reason[:most_characters]}..."


def memory_note(report: Report) -> str:
    after = "after load: after the rounds above"
    if report.load_minutes:
        length = f"{report.load_minutes:g} minutes at {SUSTAINED_RPS} requests a second"
        after += f", ours after {length} more"
    return f"PSS of all processes of a gateway; {after}. Cold start: to the first correct answer."


def memory_rows(report: Report) -> list[Row]:
    return [
        (
            entry.title,
            show(Spread.of(entry.cold_starts_s), lambda value: f"{value:.2f}"),
            whole(entry.idle_mib),
            whole(entry.loaded_mib) if entry.loaded_mib else NOTHING,
        )
        for entry in report.entries.values()
        if entry.cold_starts_s
    ]


def trouble_part(report: Report) -> list[str]:
    lines = [
        f"- {entry.title}{f', {where}' if where else ''}: {what}"
        for entry in report.entries.values()
        for where, what in [("", entry.trouble), *entry.troubles.items()]
        if what
    ]
    return ["## What went wrong", "\n".join(lines)] if lines else []
