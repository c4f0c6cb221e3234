"""Writes a run as a table for the terminal and as docs/soak.md. Pure; called by the runner."""

import os
import platform
from collections.abc import Iterable, Sequence

from bench.soak.judge import MIB, Run, Verdict, fit_memory, percentile, phases
from bench.soak.mix import HOT_PROMPTS, KINDS

INTRODUCTION = """\
# The soak: half load, with a dependency dead

```bash
make soak                                            # 30 minutes
.venv/bin/python -m bench.soak --minutes 1 --untimed  # a cut of it, as CI runs it
```

It starts a throw-away gateway (`python main.py all`, two proxies) before the
[mock provider](mock-provider.md) and a columnar store in a process of its own (chDB behind a
ClickHouse HTTP interface), and sends the mix below at random moments. A short burst in which each
of 48 clients calls again at once finds the rate of saturation; half of that is sent, or `--rate`.
After a third of the time the store is killed with `kill -9`; after two thirds it is started again
on the same data. Client, gateway, provider and store share the machine.

Memory, descriptors and threads are read from /proc, queues from `/health/metrics` and from the
files themselves, how much of the log is stored from the store. At the end, when nothing is open and
nothing waits, `python main.py conservation` compares log, store and the provider's own bill,
attempt by attempt. The exit status is 1, and the bound is named, when one is broken. `--untimed`
leaves out the bounds that say something about the machine as well.

- Memory: two least-squares lines through a process's resident set, from a sixth of the run to the
  store's return, and from a twelfth of the run after it to the end. Left out are the warm-up, in
  which caches and pools fill, and the catching up. Between the lines the control process makes a
  step: catching up takes whole batches, where a fifth of a second's events were enough before.
  The bound is one of the whole stretch, 4 MiB and a twentieth: the longer a run, the slower a leak
  that it finds. The table says what the lines come to in an hour.
- Latency: of unstreamed calls for which the provider neither waits nor fails, from the moment the
  call was due to its last byte. The first tenth of the run is left out.
- Descriptors: of a process with no request open, before the run (after the burst) and after it.
  Kept connections to the provider are counted apart: they are bounded by what was open at once.
- The log grows by design: what is stored stays on disk for seven days.
"""


def render_table(verdicts: Sequence[Verdict]) -> str:
    """For the terminal."""
    rows = [("", "bound", "found", "")] + [
        (each.what, each.bound, each.found, "kept" if each.is_kept else "BROKEN")
        for each in verdicts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def render_report(run: Run, verdicts: Sequence[Verdict]) -> str:
    """The whole of docs/soak.md."""
    return "\n".join([
        INTRODUCTION,
        "## This run\n",
        f"{_describe(run)}\n",
        "![rate, latency, memory, descriptors, threads and queues over time](soak.svg)\n",
        *_markdown(
            ("what", "bound", "found", ""),
            ((v.what, v.bound, v.found, "kept" if v.is_kept else "**broken**") for v in verdicts),
        ),
        "\n```",
        run.conservation,
        "```\n",
        *_markdown(
            ("third", "calls", "not as due", "p50", "p99"),
            ((p.name, f"{p.calls:,}", f"{p.wrong:,}", f"{p.p50_ms:.1f} ms", f"{p.p99_ms:.1f} ms")
             for p in phases(run)),
        ),
        "",
        *_markdown(
            ("process", "resident, first and last sample", "PSS, last", "rise an hour, both lines",
             "descriptors at rest", "threads at rest"),
            _process_rows(run),
        ),
        "\n## The mix\n",
        f"`asked before` draws from {HOT_PROMPTS} prompts; every other prompt is new. Calls named "
        "`flaky` go to an\nupstream of their own, whose circuit breaker opens and closes over "
        "them: they may end in any answer\nor error, but must end.\n",
        *_markdown(
            ("kind", "share", "ends", "sent", "otherwise"),
            ((k.name, f"{k.share / 10:g} %", k.ending.value, f"{run.tally.by_kind[k.name]:,}",
              f"{run.tally.wrong_by_kind[k.name]:,}") for k in KINDS),
        ),
        "",
    ])  # fmt: skip


def _describe(run: Run) -> str:
    source = (
        "as given by `--rate`"
        if run.saturation is None
        else f"half of the {run.saturation:.0f} a second at which this machine was saturated"
    )
    loads = sorted(sample.machine_load for sample in run.samples)
    median, most = percentile(loads, 0.5), percentile(loads, 1)
    machine = (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        f"processes that wanted to run,\nthose of others on the machine too: {median:.1f} in the "
        f"median, {most:.1f} at most"
    )
    return (
        f"{run.seconds / 60:g} minutes, {run.tally.ended:,} calls at {run.rate:.0f} a second, "
        f"{source};\n{machine}."
    )


def _process_rows(run: Run) -> Iterable[tuple[str, ...]]:
    for name in sorted({name for sample in run.samples for name in sample.processes}):
        seen = [sample.processes[name] for sample in run.samples if name in sample.processes]
        hourly = [
            f"{fit.rise_bytes / fit.seconds * 3600 / MIB:+.1f}" for fit in fit_memory(run, name)
        ]
        before, after = run.rest_before.get(name), run.rest_after.get(name)
        fds, threads = "", ""
        if before and after:
            fds = f"{before.own_fds} and {after.own_fds}"
            threads = f"{before.threads} and {after.threads}"
        yield (
            name, f"{seen[0].rss_bytes / MIB:.1f} and {seen[-1].rss_bytes / MIB:.1f} MiB",
            f"{seen[-1].pss_bytes / MIB:.1f} MiB", f"{' and '.join(hourly)} MiB", fds, threads,
        )  # fmt: skip


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
