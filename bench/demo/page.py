"""The demo's result as one HTML page without anything from elsewhere. Called by the runner."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.demo.accounts import COST, PICO
from bench.demo.charts import Series, bar_chart, line_chart
from bench.demo.lines import Section, usd
from bench.demo.origins import MEANINGS, ORIGINS
from bench.demo.outcome import Outcome
from bench.demo.replay import Seen

STYLE = Path(__file__).parent / "page.css"
SMOOTH_MINUTES = 5
MOST_PROBLEMS = 50


def render_page(
    outcomes: Sequence[Outcome],
    direct: Sequence[Seen],
    sections: Sequence[Section],
    scale: int,
    problems: Sequence[str],
) -> str:
    """The whole document; `direct` are the calls that went to the mock without a gateway."""
    last = outcomes[-1]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Netra Apex: the demo</title><style>{STYLE.read_text()}</style></head><body><main>",
        "<header><h1>Netra Apex, on a real trace</h1>",
        f"<p>{_intro(outcomes, scale)}</p></header>",
        _verdict(outcomes, problems),
        _tiles(outcomes[0], last),
        "<section class='charts'>",
        *(
            f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>"
            for title, chart in _charts(outcomes, direct)
        ),
        "</section>",
        *(_table(section, [outcome.policy for outcome in outcomes]) for section in sections),
        _origins(),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _intro(outcomes: Sequence[Outcome], scale: int) -> str:
    names = " and ".join(outcome.policy for outcome in outcomes)
    minutes = outcomes[0].seen[-1].call.at_s / 60
    return (
        f"The same {len(outcomes[0].seen):,} requests under {escape(names)}: "
        f"{minutes:.0f} minutes of a public trace, {scale} times as fast, through the running "
        "gateway to the mock provider. No model is substituted: what is saved, is saved by "
        "answers that need not be bought twice."
    )


def _verdict(outcomes: Sequence[Outcome], problems: Sequence[str]) -> str:
    if problems:
        rows = "".join(f"<li>{escape(problem)}</li>" for problem in problems[:MOST_PROBLEMS])
        return f"<div class='verdict bad'><b>Something does not add up</b><ul>{rows}</ul></div>"
    sums = "; ".join(
        f"{escape(outcome.policy)} {outcome.accounts.total('billed', COST):,} pico-USD for "
        f"{len(outcome.bill):,} calls"
        for outcome in outcomes
    )
    return (
        "<div class='verdict'><b>Ours = the mock's own bill, exactly</b>, to the token and the "
        f"pico-USD, in every model and in every call: {sums}.</div>"
    )


def _tiles(first: Outcome, last: Outcome) -> str:
    before, after = (each.accounts.total("billed", COST) for each in (first, last))
    reused = sum(seen.is_reused for seen in last.seen)
    errors = len(first.errors) + len(last.errors)
    facts = [
        (f"{len(first.seen):,}", "requests per policy"),
        (f"{errors:,}", "errors"),
        (
            f"{reused / max(1, len(last.seen)):.1%}",
            f"answered without the provider ({last.policy})",
        ),
        (usd(before, 2), f"billed under {first.policy}"),
        (usd(after, 2), f"billed under {last.policy}"),
        (f"{(before - after) / max(1, before):.1%}", "lower bill"),
    ]
    tiles = "".join(f"<div><b>{escape(f)}</b><span>{escape(t)}</span></div>" for f, t in facts)
    return f"<section class='tiles'>{tiles}</section>"


def _charts(outcomes: Sequence[Outcome], direct: Sequence[Seen]) -> list[tuple[str, str]]:
    minute = "minute of the trace"
    return [
        ("Requests per minute of the trace, and those answered without the provider",
         line_chart(_arrivals(outcomes[-1]), minute, _whole, _whole)),
        (f"Hit rate over the trace, of the last {SMOOTH_MINUTES} minutes each",
         line_chart([_hit_rate(o, _style(n)) for n, o in enumerate(outcomes)],
                    minute, _whole, lambda share: f"{share:.0%}")),
        ("The mock's bill as it grows", line_chart(
            [Series(o.policy, _style(n), [(x, y / PICO) for x, y in o.bill_over_time()])
             for n, o in enumerate(outcomes)], minute, _whole, lambda amount: f"${amount:.2f}")),
        ("Cost by model", _cost_chart(outcomes)),
        ("Share of answers complete within so many milliseconds, at the client",
         _latency_chart(outcomes, direct)),
        ("Requests by cache outcome", _cache_chart(outcomes)),
    ]  # fmt: skip


def _style(number: int) -> str:
    return f"s{number}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _arrivals(outcome: Outcome) -> list[Series]:
    bins = outcome.minutes()
    return [
        Series("requests", "s0", [(n, count) for n, (count, _) in enumerate(bins)]),
        Series(f"reused ({outcome.policy})", "s1", [(n, reused) for n, (_, reused) in
                                                     enumerate(bins)]),
    ]  # fmt: skip


def _hit_rate(outcome: Outcome, style: str) -> Series:
    bins = outcome.minutes()
    points = []
    for number in range(len(bins)):
        around = bins[max(0, number - SMOOTH_MINUTES + 1) : number + 1]
        requests, reused = (sum(column) for column in zip(*around, strict=True))
        points.append((float(number), reused / max(1, requests)))
    return Series(outcome.policy, style, points)


def _cost_chart(outcomes: Sequence[Outcome]) -> str:
    models = sorted({model for outcome in outcomes for model in outcome.accounts.ours})
    series = [
        Series(outcome.policy, _style(number),
               [(index, (outcome.accounts.ours.get(model, {}).get(COST) or 0) / PICO)
                for index, model in enumerate(models)])
        for number, outcome in enumerate(outcomes)
    ]  # fmt: skip
    return bar_chart(models, series, "model", lambda amount: f"${amount:.2f}")


def _cache_chart(outcomes: Sequence[Outcome]) -> str:
    names = ["hit", "coalesced", "miss", "bypass"]
    series = [
        Series(outcome.policy, _style(number),
               [(index, outcome.outcomes()[name]) for index, name in enumerate(names)])
        for number, outcome in enumerate(outcomes)
    ]  # fmt: skip
    return bar_chart(names, series, "cache outcome", _whole)


def _latency_chart(outcomes: Sequence[Outcome], direct: Sequence[Seen]) -> str:
    """The calls that were sent in every run, so that the lines show the same work."""
    numbers = {each.call.number for each in direct if each.is_ok}
    runs = [("mock alone", "s2", direct)] + [
        (outcome.policy, _style(number), outcome.seen) for number, outcome in enumerate(outcomes)
    ]
    series = []
    for name, style, seen in runs:
        times = sorted(each.total_ms for each in seen if each.call.number in numbers)
        points = [(time, (rank + 1) / len(times)) for rank, time in enumerate(times)]
        series.append(Series(name, style, points))
    return line_chart(
        series, "milliseconds", lambda ms: f"{ms:g}", lambda share: f"{share:.0%}", is_log_x=True
    )


def _table(section: Section, policies: Sequence[str]) -> str:
    head = "".join(f"<th class='n'>{escape(policy)}</th>" for policy in policies)
    rows = "".join(
        f"<tr><td>{escape(line.title)}</td><td>{_kind(line.kind)}</td>"
        + "".join(f"<td class='n'>{escape(value)}</td>" for value in line.values)
        + "</tr>"
        for line in section.lines
    )
    note = f"<p class='note'>{escape(section.note)}</p>" if section.note else ""
    return (
        f"<section><h2>{escape(section.title)}</h2>{note}<div class='scroll'>"
        f"<table class='figures'><tr><th></th><th>kind</th>{head}</tr>{rows}</table>"
        "</div></section>"
    )


def _kind(kind: str) -> str:
    return f"<span class='kind {kind}'>{kind}</span>"


def _origins() -> str:
    meanings = "".join(
        f"<li>{_kind(kind)} {escape(meaning)}</li>" for kind, meaning in MEANINGS.items()
    )
    rows = "".join(
        f"<tr><td>{escape(each.what)}</td><td>{_kind(each.kind)}</td><td>{escape(each.how)}</td></tr>"
        for each in ORIGINS
    )
    return (
        f"<section><h2>What is real, derived, synthetic</h2><ul class='kinds'>{meanings}</ul>"
        "<div class='scroll'><table><tr><th></th><th>kind</th><th>how</th></tr>"
        f"{rows}</table></div></section>"
    )
