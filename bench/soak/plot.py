"""Draws a run as one SVG: panels over the same time, the store's absence shaded. Pure.

Called by the runner. It carries its own colours, light and dark, and takes nothing from elsewhere.
"""

from collections.abc import Callable, Sequence
from html import escape

from bench.demo.charts import Axis, Point, Series
from bench.soak.judge import MIB, Run, percentile

WIDTH, PANEL, GAP, HEAD, FOOT = 760, 130, 34, 30, 34
LEFT, RIGHT = 64, 130
MOST_WINDOWS = 100
STYLE = """
svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#333}
.line{fill:none;stroke-width:1.5}.grid{stroke:#ddd}.away{fill:#d33;opacity:.09}
.s0{stroke:#0b62a4}.s1{stroke:#d1710a}.s2{stroke:#2a8a3e}.s3{stroke:#8a3ea8}.s4{stroke:#777}
.title{font-weight:600}
@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#ccc}.grid{stroke:#333}
.s0{stroke:#5aa9e6}.s1{stroke:#f0a04b}.s2{stroke:#63c77b}.s3{stroke:#c58be0}.s4{stroke:#aaa}}
""".strip()

Panel = tuple[str, Sequence[Series]]


def render_plot(run: Run) -> str:
    """The whole picture."""
    panels = _panels(run)
    height = HEAD + len(panels) * (PANEL + GAP) + FOOT
    across = Axis(0, run.seconds, LEFT, WIDTH - RIGHT)
    parts = [
        _draw(panel, across, HEAD + index * (PANEL + GAP), run)
        for index, panel in enumerate(panels)
    ]
    minutes = "".join(
        _text(across.place(tick * 60), height - FOOT, f"{tick:g}", "middle")
        for tick in Axis(0, run.seconds / 60, LEFT, WIDTH - RIGHT).ticks()
    )
    legend = _text((LEFT + WIDTH - RIGHT) / 2, height - 10, "minutes; the columnar store is "
                   "killed where it is shaded", "middle")  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="soak: {escape(", ".join(name for name, _ in panels))}">'
        f"<style>{STYLE}</style>{''.join(parts)}{minutes}{legend}</svg>\n"
    )


def _panels(run: Run) -> list[Panel]:
    names = sorted({name for sample in run.samples for name in sample.processes})
    names.sort(key=lambda name: not name.startswith("proxy"))

    def of_processes(what: str, unit: float) -> list[Series]:
        return [
            Series(name, f"s{index}", [
                (sample.at_s, getattr(sample.processes[name], what) / unit)
                for sample in run.samples if name in sample.processes
            ])
            for index, name in enumerate(names)
        ]  # fmt: skip

    latencies = _by_window(run, run.tally.timed_at, run.tally.timed_ms)
    return [
        ("calls ended a second", [
            Series("all", "s0", _rates(run, run.tally.ended_at)),
            Series("not as due", "s1", _rates(run, run.tally.wrong_at)),
        ]),
        ("latency of unstreamed calls, ms", [
            Series(name, style, [(at, percentile(sorted(times), share)) for at, times in latencies])
            for name, style, share in (("p50", "s0", 0.5), ("p99", "s1", 0.99))
        ]),
        ("resident memory, MiB", of_processes("rss_bytes", MIB)),
        ("open descriptors", of_processes("fds", 1)),
        ("threads", of_processes("threads", 1)),
        ("waiting on disk, MB", [
            Series("usage events", "s0", _of_samples(run, lambda each: each.backlog_bytes / 1e6)),
            Series("unmetered texts", "s1", _of_samples(run, lambda each: each.spool_bytes / 1e6)),
        ]),
        ("requests open", [
            Series("requests", "s0", [
                (each.at_s, each.open_requests)
                for each in run.samples if each.open_requests is not None
            ])
        ]),
    ]  # fmt: skip


def _of_samples(run: Run, value: Callable[..., float]) -> list[Point]:
    return [(sample.at_s, value(sample)) for sample in run.samples]


def _window_s(run: Run) -> float:
    return max(1.0, run.seconds / MOST_WINDOWS)


def _rates(run: Run, moments: Sequence[float]) -> list[Point]:
    width = _window_s(run)
    counts = [0] * (int(run.seconds / width) + 1)
    for at in moments:
        if at < run.seconds:
            counts[int(at / width)] += 1
    whole = counts[:-1] or counts
    return [((index + 0.5) * width, count / width) for index, count in enumerate(whole)]


def _by_window(
    run: Run, moments: Sequence[float], values: Sequence[float]
) -> list[tuple[float, list[float]]]:
    width = _window_s(run)
    found: dict[int, list[float]] = {}
    for at, value in zip(moments, values, strict=True):
        found.setdefault(int(at / width), []).append(value)
    return [((index + 0.5) * width, found[index]) for index in sorted(found)]


def _draw(panel: Panel, across: Axis, top: float, run: Run) -> str:
    title, series = panel
    highest = max((y for each in series for _, y in each.points), default=0.0)
    up = Axis(0, (highest or 1.0) * 1.08, top + PANEL, top)
    left, right = (across.place(run.seconds * share / 3) for share in (1, 2))
    parts = [
        f'<rect class="away" x="{left}" y="{top}" width="{right - left:.1f}" height="{PANEL}"/>',
        *(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up.place(tick)}" '
            f'y2="{up.place(tick)}"/>{_text(LEFT - 7, up.place(tick) + 4, f"{tick:g}", "end")}'
            for tick in up.ticks()[::2]
        ),
        f'<text class="title" x="{LEFT}" y="{top - 7}">{escape(title)}</text>',
    ]
    for index, each in enumerate(series):
        path = " ".join(f"{across.place(x)},{up.place(y)}" for x, y in each.points)
        height = top + 12 + index * 17
        parts.append(
            f'<polyline class="line {each.style}" points="{path}"/>'
            f'<line class="line {each.style}" x1="{WIDTH - RIGHT + 10}" x2="{WIDTH - RIGHT + 26}" '
            f'y1="{height - 4}" y2="{height - 4}"/>'
            + _text(WIDTH - RIGHT + 31, height, each.name, "start")
        )
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
