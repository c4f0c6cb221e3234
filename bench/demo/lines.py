"""The demo's result as sections of lines, one column a policy: the table and the page show these.

Pure: built from finished outcomes. Every line says what kind of quantity it is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.demo.accounts import BUCKETS, COST, PICO, picousd_of
from bench.demo.origins import DERIVED, MEASURED, REAL, SYNTHETIC
from bench.demo.outcome import CACHE_OUTCOMES, Added, Outcome, percentile

NOTHING = "-"
SAVING_NOTE = (
    "The gross saving prices each reused answer as it was bought the first time. The bills differ "
    "by less: under passthrough the provider's own prompt cache makes the second time cheaper."
)
LATENCY_NOTE = (
    "Client, gateway and mock share this machine's cores, and the runs follow one another: added "
    "is what a call took more than the same call sent to the mock alone, at the same pace."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity; `values` are in the order of the outcomes."""

    title: str
    kind: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together; the note says how to read them."""

    title: str
    lines: list[Line]
    note: str = ""


def usd(picousd: int, digits: int = 6) -> str:
    """Rounded for reading; the comparison with the bill is made on the whole number."""
    return f"${picousd / PICO:,.{digits}f}"


def build_sections(outcomes: Sequence[Outcome], added: Sequence[Added]) -> list[Section]:
    """Everything about the runs; `added` goes with the outcomes."""
    return [
        Section("Requests", _requests(outcomes)),
        Section("Cache", _cache(outcomes)),
        Section("Tokens paid for", _tokens(outcomes)),
        Section("Cost by model", _costs(outcomes)),
        Section("Saving", _saving(outcomes), SAVING_NOTE),
        Section("Sessions treated and held out", _groups(outcomes, "arm", {"": "none"})),
        Section("By application", _groups(outcomes, "tag", {})),
        Section("Latency", _latency(outcomes, added), LATENCY_NOTE),
        Section("The mock's own bill beside ours", _bill(outcomes)),
    ]


def _each(
    title: str, kind: str, outcomes: Iterable[Outcome], read: Callable[[Outcome], str]
) -> Line:
    return Line(title, kind, tuple(read(outcome) for outcome in outcomes))


def _requests(outcomes: Sequence[Outcome]) -> list[Line]:
    return [
        _each("requests", REAL, outcomes, lambda o: f"{len(o.seen):,}"),
        _each("of them streamed", SYNTHETIC, outcomes,
              lambda o: f"{sum(seen.call.is_streaming for seen in o.seen):,}"),
        _each("errors", MEASURED, outcomes, lambda o: f"{len(o.errors):,}"),
        _each("answered by another model", MEASURED, outcomes, lambda o: f"{len(o.substituted):,}"),
        _each("replayed in", MEASURED, outcomes, lambda o: f"{o.replay_s:.1f} s"),
    ]  # fmt: skip


def _cache(outcomes: Sequence[Outcome]) -> list[Line]:
    def count(name: str) -> Callable[[Outcome], str]:
        return lambda outcome: f"{outcome.outcomes()[name]:,}"

    lines = [_each(name, DERIVED, outcomes, count(name)) for name in CACHE_OUTCOMES]
    lines.append(
        _each("bypass of deterministic requests", DERIVED, outcomes, _deterministic_bypass)
    )
    lines.append(_each("hit rate (hit + coalesced)", DERIVED, outcomes, _hit_rate))
    return lines


def _deterministic_bypass(outcome: Outcome) -> str:
    """Those of sessions held out, or of a policy that caches nothing."""
    bypass = [seen for seen in outcome.seen if seen.cache == "bypass"]
    return f"{sum(seen.call.is_deterministic for seen in bypass):,}"


def _hit_rate(outcome: Outcome) -> str:
    reused = sum(seen.is_reused for seen in outcome.seen)
    return f"{reused / max(1, len(outcome.seen)):.1%}"


def _tokens(outcomes: Sequence[Outcome]) -> list[Line]:
    def total(name: str) -> Callable[[Outcome], str]:
        return lambda outcome: f"{outcome.totals[name]:,}"

    lines = [
        _each(name.removesuffix("_tokens").replace("_", " "), DERIVED, outcomes, total(name))
        for name in BUCKETS
        if any(outcome.totals[name] for outcome in outcomes)
    ]
    served = _each("from our cache, not paid", DERIVED, outcomes, total("cache_served_tokens"))
    return [*lines, served]


def _costs(outcomes: Sequence[Outcome]) -> list[Line]:
    def cost(model: str) -> Callable[[Outcome], str]:
        return lambda outcome: _cost_of(outcome, model)

    models = sorted({model for outcome in outcomes for model in outcome.accounts.ours})
    lines = [_each(model, SYNTHETIC, outcomes, cost(model)) for model in models]
    return [
        *lines,
        _each("all", SYNTHETIC, outcomes, lambda o: usd(o.accounts.total("ours", COST))),
    ]


def _cost_of(outcome: Outcome, model: str) -> str:
    cost = outcome.accounts.ours.get(model, {}).get(COST)
    return NOTHING if cost is None else usd(cost)


def _saving(outcomes: Sequence[Outcome]) -> list[Line]:
    first = outcomes[0]

    def less(outcome: Outcome) -> str:
        before, after = (each.accounts.total("billed", COST) for each in (first, outcome))
        if outcome is first or not before:
            return NOTHING
        return f"{usd(before - after)} ({(before - after) / before:.1%})"

    return [
        _each("what it would have cost", DERIVED, outcomes, lambda o: _amount(o, "gross_baseline")),
        _each("gross saving, as recorded", DERIVED, outcomes, _gross_saving),
        _each(f"bill lower than under {first.policy}", DERIVED, outcomes, less),
    ]


def _amount(outcome: Outcome, name: str) -> str:
    text = outcome.totals[f"{name}_usd"]
    return "unknown" if text is None else usd(picousd_of(text))


def _gross_saving(outcome: Outcome) -> str:
    saving, baseline = (
        outcome.totals[f"{name}_usd"] for name in ("gross_saving", "gross_baseline")
    )
    if saving is None or baseline is None or not picousd_of(baseline):
        return _amount(outcome, "gross_saving")
    share = picousd_of(saving) / picousd_of(baseline)
    return f"{usd(picousd_of(saving))} ({share:.1%})"


def _groups(outcomes: Sequence[Outcome], dimension: str, shown: dict[str, str]) -> list[Line]:
    """Requests, reuse, cost and saving of every group of one dimension."""
    rows = [
        {row[dimension]: row for row in outcome.usage[dimension]["rows"]} for outcome in outcomes
    ]
    names = sorted({name for each in rows for name in each}, reverse=True)
    return [
        Line(shown.get(name, name), DERIVED, tuple(_group(each.get(name)) for each in rows))
        for name in names
    ]


def _group(row: dict[str, object] | None) -> str:
    if row is None:
        return NOTHING
    reused = int(str(row["cache_hits"])) + int(str(row["coalesced"]))
    cost = "unknown" if row["cost_usd"] is None else usd(picousd_of(str(row["cost_usd"])), 4)
    return f"{row['requests']:,} requests, {reused:,} reused, {cost}"


def _latency(outcomes: Sequence[Outcome], added: Sequence[Added]) -> list[Line]:
    def reused_ms(outcome: Outcome) -> str:
        times = [seen.total_ms for seen in outcome.seen if seen.cache == "hit"]
        return f"{percentile(times, 50):.1f} ms" if times else NOTHING

    columns = [
        (f"{a.p50_ms:+.1f} / {a.p99_ms:+.1f} ms",
         f"{a.first_byte_p50_ms:+.1f} / {a.first_byte_p99_ms:+.1f} ms",
         f"{a.calls:,}") for a in added
    ]  # fmt: skip
    titles = ("added, whole answer, p50 / p99", "added, first byte, p50 / p99", "measured on calls")
    lines = [
        Line(title, MEASURED, tuple(column[number] for column in columns))
        for number, title in enumerate(titles)
    ]
    return [*lines, _each("answer from the cache, p50", MEASURED, outcomes, reused_ms)]


def _bill(outcomes: Sequence[Outcome]) -> list[Line]:
    def paid(side: str) -> Callable[[Outcome], str]:
        return lambda outcome: f"{outcome.accounts.total(side, COST):,}"

    def tokens(side: str) -> Callable[[Outcome], str]:
        return lambda outcome: f"{sum(outcome.accounts.total(side, b) for b in BUCKETS):,}"

    return [
        _each("calls on the bill", MEASURED, outcomes, lambda o: f"{len(o.bill):,}"),
        _each("tokens, ours", DERIVED, outcomes, tokens("ours")),
        _each("tokens, billed", DERIVED, outcomes, tokens("billed")),
        _each("pico-USD, ours", DERIVED, outcomes, paid("ours")),
        _each("pico-USD, billed", DERIVED, outcomes, paid("billed")),
        _each("ours = the bill", MEASURED, outcomes,
              lambda o: "exactly" if o.accounts.is_exact else "NO"),
    ]  # fmt: skip
