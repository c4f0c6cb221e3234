"""Holds a finished run against its bounds. Pure; the report prints the verdicts.

`is_timed` ones depend on the speed and the load of the machine: a run on a shared one may leave
them out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.soak.load import Tally
from bench.soak.watch import Sample

MIB = 1 << 20
STRETCHES = ("before", "after")
PHASES = ("healthy", "store away", "recovered")
WARM_UP_SHARE = 0.1  # of the run: left out of the healthy third's latencies
FIT_FROM_SHARE = 1 / 6  # of the run: where the line through the memory begins
SETTLE_SHARE = 1 / 12  # of the run: after the store's return, for catching up
LEAST_FIT_S = 100.0
MOST_RISE_BYTES = 4 * MIB  # of a fitted line, beside the share of what there is
MOST_RISE_SHARE = 0.05
MOST_STEP_BYTES = 16 * MIB
MOST_CONTROL_STEP_BYTES = 160 * MIB  # whole batches instead of a fifth of a second's events
MOST_P99_RATIO = 2.0
LEAST_P99_MS = 10.0  # below it a ratio says more about the timer than about the gateway
FD_SLACK = 4
THREAD_SLACK = 6  # of the pool that asyncio.to_thread fills as it is used
MOST_RECOVERY_S = 60.0
MOST_SPOOL_FILES = 10_000
OPEN_SLACK = 32.0
JUDGED_PROCESSES = ("proxy-0", "proxy-1", "control", "supervisor")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound, and what came of it."""

    what: str
    bound: str
    found: str
    is_kept: bool
    is_timed: bool = False


@dataclass(frozen=True, slots=True)
class AtRest:
    """One process with no request open."""

    own_fds: int
    upstream_connections: int
    threads: int


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a run leaves; `recovery_s` from the store's return until nothing waited."""

    seconds: float
    rate: float
    saturation: float | None
    tally: Tally
    samples: list[Sample]
    rest_before: dict[str, AtRest]
    rest_after: dict[str, AtRest]
    last: Sample
    recovery_s: float | None
    conservation_status: int
    conservation: str
    exit_status: int | None


@dataclass(frozen=True, slots=True)
class Phase:
    """One third of the run, its latencies in milliseconds."""

    name: str
    calls: int
    wrong: int
    timed: int
    p50_ms: float
    p99_ms: float


def judge(run: Run) -> list[Verdict]:
    """Every bound, the untimed ones first."""
    untimed = [
        _answers(run), _conservation(run), _exit(run), *_left_open(run), _waiting(run), _spool(run),
    ]  # fmt: skip
    return [*untimed, *_memory(run), *_latency(run), _recovery(run), _open_requests(run)]


def phases(run: Run) -> list[Phase]:
    """The thirds; a call belongs to the one in which it fell due."""
    third = run.seconds / len(PHASES)
    tally = run.tally
    found = []
    for index, name in enumerate(PHASES):
        low, high = index * third, (index + 1) * third
        timed_low = run.seconds * WARM_UP_SHARE if index == 0 else low
        times = sorted(
            ms
            for at, ms in zip(tally.timed_at, tally.timed_ms, strict=True)
            if timed_low <= at < high
        )
        calls, wrong = (
            sum(low <= at < high for at in moments) for moments in (tally.ended_at, tally.wrong_at)
        )
        found.append(
            Phase(name, calls, wrong, len(times), percentile(times, 0.5), percentile(times, 0.99))
        )
    return found


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Of the least-squares line; 0 for fewer than two different moments."""
    known = list(points)
    if not known:
        return 0.0
    mean_x, mean_y = (sum(axis) / len(known) for axis in zip(*known, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in known)
    return sum((x - mean_x) * (y - mean_y) for x, y in known) / spread if spread else 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """A line through a process's memory; `rise_bytes` is what it gains over `seconds`."""

    seconds: float
    mean_bytes: float
    rise_bytes: float


def fit_memory(run: Run, name: str) -> list[Fit]:
    """Two lines: from the warm-up to the store's return, and from when it has caught up."""
    returned_s = run.seconds * 2 / 3
    stretches = (
        (run.seconds * FIT_FROM_SHARE, returned_s),
        (returned_s + run.seconds * SETTLE_SHARE, run.seconds),
    )
    return [fit for low, high in stretches if (fit := _fit(run, name, low, high)) is not None]


def _fit(run: Run, name: str, low: float, high: float) -> Fit | None:
    points = [
        (sample.at_s, float(sample.processes[name].rss_bytes))
        for sample in run.samples
        if low <= sample.at_s < high and name in sample.processes
    ]
    if not points:
        return None
    seconds = high - low
    mean = sum(size for _, size in points) / len(points)
    return Fit(seconds, mean, slope(points) * seconds)


def _answers(run: Run) -> Verdict:
    wrong, ended = run.tally.wrong, run.tally.ended
    found = f"{wrong:,} of {ended:,} otherwise"
    return Verdict("every call ends as its kind has to", "all", found, wrong == 0 < ended)


def _conservation(run: Run) -> Verdict:
    status = run.conservation_status
    is_exact = status == 0 and run.conservation.endswith("\nexact")
    return Verdict(
        "conservation: log, store and the mock's bill", "exact",
        "exact" if is_exact else f"NOT exact (status {status})", is_exact,
    )  # fmt: skip


def _exit(run: Run) -> Verdict:
    found = f"status {run.exit_status}"
    return Verdict("the gateway's end after SIGTERM", "status 0", found, run.exit_status == 0)


def _left_open(run: Run) -> list[Verdict]:
    """Pooled upstream connections are no leak while they are no more than were open at once."""
    verdicts = []
    before, after = run.rest_before, run.rest_after
    for what, slack in (("own_fds", FD_SLACK), ("threads", THREAD_SLACK)):
        grown = {
            name: getattr(after[name], what) - getattr(before[name], what)
            for name in before.keys() & after.keys()
        }
        shown = ", ".join(f"{name} {count:+d}" for name, count in sorted(grown.items()))
        is_kept = bool(grown) and before.keys() == after.keys() and max(grown.values()) <= slack
        title = "descriptors" if what == "own_fds" else "threads"
        verdicts.append(
            Verdict(f"{title} at rest, after less before", f"at most +{slack}", shown, is_kept)
        )
    pooled = max((rest.upstream_connections for rest in after.values()), default=0)
    idle_before = max((rest.upstream_connections for rest in before.values()), default=0)
    most = max(run.tally.most_open, idle_before)
    return [
        *verdicts,
        Verdict("pooled upstream connections of a process", f"at most {most} (calls open at once)",
                str(pooled), pooled <= most),
        Verdict("requests open at rest", "0", _count(run.last.open_requests),
                run.last.open_requests == 0),
    ]  # fmt: skip


def _waiting(run: Run) -> Verdict:
    waiting = run.last.backlog_bytes
    return Verdict("log bytes not stored at the end", "0", f"{waiting:,}", waiting == 0)


def _spool(run: Run) -> Verdict:
    most = max((sample.spool_files for sample in run.samples), default=0)
    found = f"{most:,} at most, {run.last.spool_files} at the end"
    return Verdict(
        "unmetered texts on disk", f"at most {MOST_SPOOL_FILES:,}, 0 at the end", found,
        most <= MOST_SPOOL_FILES and run.last.spool_files == 0,
    )  # fmt: skip


def _memory(run: Run) -> list[Verdict]:
    verdicts = []
    for name in JUDGED_PROCESSES:
        fits = fit_memory(run, name)
        if len(fits) < 2 or fits[1].seconds < LEAST_FIT_S:
            continue
        verdicts += [_rise(name, when, fit) for when, fit in zip(STRETCHES, fits, strict=True)]
        step = fits[1].mean_bytes - fits[0].mean_bytes
        most = MOST_CONTROL_STEP_BYTES if name == "control" else MOST_STEP_BYTES
        verdicts.append(
            Verdict(
                f"memory of {name}: step by the return", f"at most {most / MIB:.0f} MiB",
                f"{step / MIB:+.1f} MiB", step <= most, is_timed=True,
            )
        )  # fmt: skip
    return verdicts


def _rise(name: str, when: str, fit: Fit) -> Verdict:
    most = MOST_RISE_BYTES + MOST_RISE_SHARE * fit.mean_bytes
    return Verdict(
        f"memory of {name}: fitted rise {when} the store's return",
        f"at most {most / MIB:.1f} MiB in {fit.seconds / 60:.1f} min",
        f"{fit.rise_bytes / MIB:+.1f} MiB of {fit.mean_bytes / MIB:.0f}",
        fit.rise_bytes <= most, is_timed=True,
    )  # fmt: skip


def _latency(run: Run) -> list[Verdict]:
    healthy, *others = phases(run)
    bound = max(LEAST_P99_MS, healthy.p99_ms) * MOST_P99_RATIO
    return [
        Verdict(
            f"p99, {each.name}", f"at most {MOST_P99_RATIO:.0f}x healthy, {bound:.1f} ms",
            f"{each.p99_ms:.1f} ms", 0 < each.p99_ms <= bound, is_timed=True,
        )
        for each in others
    ]  # fmt: skip


def _recovery(run: Run) -> Verdict:
    found = "never" if run.recovery_s is None else f"{run.recovery_s:.0f} s"
    return Verdict(
        "backlog stored after the store's return", f"within {MOST_RECOVERY_S:.0f} s", found,
        run.recovery_s is not None and run.recovery_s <= MOST_RECOVERY_S, is_timed=True,
    )  # fmt: skip


def _open_requests(run: Run) -> Verdict:
    third = run.seconds / len(PHASES)
    healthy, away = (
        max((each.open_requests or 0 for each in run.samples if low <= each.at_s < low + third),
            default=0.0)
        for low in (0.0, third)
    )  # fmt: skip
    bound = 2 * healthy + OPEN_SLACK
    return Verdict(
        "open requests, store away", f"at most 2x healthy + {OPEN_SLACK:.0f}: {bound:.0f}",
        f"{away:.0f}", away <= bound, is_timed=True,
    )  # fmt: skip


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"
