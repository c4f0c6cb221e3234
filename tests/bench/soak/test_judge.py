"""Every bound is broken by what it is about, and only by that."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.soak.__main__ import judged
from bench.soak.judge import (
    FD_SLACK,
    MIB,
    MOST_CONTROL_STEP_BYTES,
    MOST_RECOVERY_S,
    MOST_SPOOL_FILES,
    MOST_STEP_BYTES,
    THREAD_SLACK,
    AtRest,
    Run,
    judge,
    percentile,
    phases,
    slope,
)
from bench.soak.load import Tally
from bench.soak.plot import render_plot
from bench.soak.report import render_report, render_table
from bench.soak.watch import ProcessSample, Sample

SECONDS = 600.0
NAMES = ("control", "mock", "proxy-0", "proxy-1", "supervisor")
AWAY = (200.0, 400.0)


def make_sample(at_s: float, **changes: Any) -> Sample:
    process = ProcessSample(1, 60 * MIB, 50 * MIB, 30, 4)
    known: dict[str, Any] = {
        "at_s": at_s, "processes": dict.fromkeys(NAMES, process), "open_requests": 0.0,
        "machine_load": 1.0, "log_bytes": 9, "backlog_bytes": 0,
        "spool_files": 0, "spool_bytes": 0,
    }  # fmt: skip
    return Sample(**(known | changes))


def make_tally(ms: Callable[[float], float] = lambda _: 20.0) -> Tally:
    moments = [float(second) for second in range(int(SECONDS))]
    tally = Tally(ended=len(moments), most_open=10)
    tally.by_kind["1 KB"] = len(moments)
    tally.timed_at, tally.ended_at = array("d", moments), array("d", moments)
    tally.timed_ms = array("d", map(ms, moments))
    return tally


def make_run(**changes: Any) -> Run:
    rest = {name: AtRest(20, 3, 4) for name in NAMES if name != "mock"}
    known: dict[str, Any] = {
        "seconds": SECONDS, "rate": 1.0, "saturation": 2.0, "tally": make_tally(),
        "samples": [make_sample(float(at)) for at in range(0, 601, 5)],
        "rest_before": rest, "rest_after": rest, "last": make_sample(610.0), "recovery_s": 5.0,
        "conservation_status": 0, "conservation": "log: ...\nexact", "exit_status": 0,
    }  # fmt: skip
    return Run(**(known | changes))


def broken(run: Run) -> list[str]:
    return [verdict.what for verdict in judge(run) if not verdict.is_kept]


def rest_with(**changes: int) -> dict[str, AtRest]:
    rest = make_run().rest_after
    return rest | {"proxy-1": replace(rest["proxy-1"], **changes)}


def growing(name: str, rise_bytes: float) -> list[Sample]:
    """Over the whole run, in steps of a page."""
    samples = []
    for sample in make_run().samples:
        grown = int(rise_bytes * sample.at_s / SECONDS) // 4096 * 4096
        process = replace(sample.processes[name], rss_bytes=60 * MIB + grown)
        samples.append(replace(sample, processes=sample.processes | {name: process}))
    return samples


def stepping(name: str, step_bytes: int) -> list[Sample]:
    """When the store is back."""
    samples = []
    for sample in make_run().samples:
        grown = step_bytes if sample.at_s >= AWAY[1] else 0
        process = replace(sample.processes[name], rss_bytes=60 * MIB + grown)
        samples.append(replace(sample, processes=sample.processes | {name: process}))
    return samples


def wrong_tally() -> Tally:
    tally = make_tally()
    tally.wrong_at.append(300.0)
    return tally


def test_a_good_run_breaks_nothing() -> None:
    assert broken(make_run()) == []
    least = rest_with(own_fds=20 + FD_SLACK, threads=4 + THREAD_SLACK, upstream_connections=10)
    assert broken(make_run(rest_after=least)) == []
    assert broken(make_run(samples=growing("proxy-0", 10 * MIB))) == []  # 5 in the longer stretch
    assert broken(make_run(samples=stepping("control", MOST_CONTROL_STEP_BYTES))) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"tally": wrong_tally()}, "every call ends as its kind has to"),
        ({"conservation_status": 1}, "conservation: log, store and the mock's bill"),
        ({"conservation": "NOT exact"}, "conservation: log, store and the mock's bill"),
        ({"exit_status": -9}, "the gateway's end after SIGTERM"),
        ({"exit_status": None}, "the gateway's end after SIGTERM"),
        ({"rest_after": rest_with(own_fds=21 + FD_SLACK)},
         "descriptors at rest, after less before"),
        ({"rest_after": rest_with(threads=5 + THREAD_SLACK)}, "threads at rest, after less before"),
        ({"rest_after": rest_with(upstream_connections=11)},
         "pooled upstream connections of a process"),
        ({"last": make_sample(610, open_requests=1.0)}, "requests open at rest"),
        ({"last": make_sample(610, open_requests=None)}, "requests open at rest"),
        ({"last": make_sample(610, backlog_bytes=1)}, "log bytes not stored at the end"),
        ({"last": make_sample(610, spool_files=1)}, "unmetered texts on disk"),
        ({"samples": [make_sample(9, spool_files=MOST_SPOOL_FILES + 1)]},
         "unmetered texts on disk"),
        ({"samples": growing("control", 18 * MIB)},
         "memory of control: fitted rise before the store's return"),
        ({"samples": stepping("control", MOST_CONTROL_STEP_BYTES + MIB)},
         "memory of control: step by the return"),
        ({"samples": stepping("proxy-0", MOST_STEP_BYTES + MIB)},
         "memory of proxy-0: step by the return"),
        ({"tally": make_tally(lambda at: 41.0 if AWAY[0] <= at < AWAY[1] else 20.0)},
         "p99, store away"),
        ({"tally": make_tally(lambda at: 41.0 if at >= AWAY[1] else 20.0)}, "p99, recovered"),
        ({"recovery_s": None}, "backlog stored after the store's return"),
        ({"recovery_s": MOST_RECOVERY_S + 1}, "backlog stored after the store's return"),
        ({"samples": [make_sample(1, open_requests=5.0), make_sample(300, open_requests=50.0)]},
         "open requests, store away"),
    ],
)  # fmt: skip
def test_each_bound_is_broken_alone(changes: dict[str, Any], what: str) -> None:
    assert broken(make_run(**changes)) == [what]


def test_a_process_that_is_gone_is_no_good_end() -> None:
    rest = dict(make_run().rest_after)
    del rest["proxy-0"]
    assert broken(make_run(rest_after=rest)) == [
        "descriptors at rest, after less before", "threads at rest, after less before",
    ]  # fmt: skip


def test_the_mock_s_memory_is_not_judged_nor_is_a_short_run_s() -> None:
    assert broken(make_run(samples=growing("mock", 100 * MIB))) == []
    short = make_run(seconds=60.0, samples=growing("control", 100 * MIB), tally=make_tally())
    assert not [each for each in judge(short) if each.what.startswith("memory")]


def test_untimed_leaves_out_what_depends_on_the_machine() -> None:
    names = {each.what for each in judged(make_run(), is_untimed=True)}
    assert {"conservation: log, store and the mock's bill", "requests open at rest"} <= names
    assert not [name for name in names if "p99" in name or "memory" in name]


def test_what_is_slow_at_the_very_start_is_warm_up() -> None:
    healthy, away, recovered = phases(
        make_run(tally=make_tally(lambda at: 900.0 if at < 60 else 20.0))
    )
    assert (healthy.p99_ms, away.p99_ms, recovered.p99_ms) == (20.0, 20.0, 20.0)
    assert (healthy.calls, healthy.timed, away.calls) == (200, 140, 200)


def test_figures() -> None:
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 100
    assert percentile([], 0.5) == 0
    assert slope([(0, 1), (1, 3), (2, 5)]) == 2
    assert slope([]) == slope([(1, 5)]) == 0


def test_the_report_names_every_broken_bound() -> None:
    run = make_run(exit_status=3)
    verdicts = judge(run)
    assert "status 3" in render_table(verdicts)
    assert "BROKEN" in render_table(verdicts)
    report = render_report(run, verdicts)
    assert "| the gateway's end after SIGTERM | status 0 | status 3 | **broken** |" in report
    assert report.count("**broken**") == 1


def test_the_plot_is_one_whole_picture() -> None:
    root = ElementTree.fromstring(render_plot(make_run()))  # noqa: S314  our own text
    lines = [each for each in root.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2 + 2 + 3 * len(NAMES) + 2 + 1
    assert all(each.get("points") for each in lines)
    assert len([each for each in root.iter() if each.get("class") == "away"]) == 7
