"""Collapsed stacks: read, booked to stages so that nothing counts twice, and made a tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.profiling.stacks import REST, build_tree, price_stages, read_stacks, stage_of

LINES = (
    "run (main.py);start (aiohttp/web_protocol.py);answer (proxy/pipeline.py);"
    "decide (optimizer/decide.py);match (policies/model.py) 30",
    "run (main.py);start (aiohttp/web_protocol.py);answer (proxy/pipeline.py);"
    "digest (optimizer/caching.py);dumps (orjson/x.py) 20",
    "run (main.py);start (aiohttp/web_protocol.py) 40",
    "run (main.py) 10",
    "write (threading.py) 5",
)


def test_the_innermost_stage_gets_the_sample_and_all_add_up() -> None:
    prices = {each.stage: each for each in price_stages(read_stacks(LINES, "run (main.py"))}
    assert sum(each.own for each in prices.values()) == pytest.approx(1)
    assert prices["aiohttp's server"].own == pytest.approx(0.4)
    assert prices["aiohttp's server"].inclusive == pytest.approx(0.9)
    assert prices["decide: policy rules, session and arm"].own == pytest.approx(0.3)
    assert prices["digest: canonical cache key and prefix digests"].own == pytest.approx(0.2)
    assert prices[REST].own == pytest.approx(0.1)
    assert "pipeline and the rest of proxy/" not in prices


def test_only_stacks_through_the_root_count() -> None:
    assert sum(read_stacks(LINES).values()) == 105
    assert sum(read_stacks(LINES, "run (main.py").values()) == 100
    assert not read_stacks(LINES, "nowhere")


@pytest.mark.parametrize(
    ("frame", "stage"),
    [
        ("send (proxy/upstream.py:12)", "upstream: connection, request and answer"),
        ("read (proxy/upstream_client.py)", "upstream: connection, request and answer"),
        ("relay (proxy/pipeline.py)", "pipeline and the rest of proxy/"),
        ("note (ledger/segment_log.py:9)", "recorder: START and END, rating, segment log"),
        ("run (asyncio/runners.py:118)", None),
        ("a frame without a place", None),
    ],
)
def test_the_longest_beginning_wins(frame: str, stage: str | None) -> None:
    assert stage_of(frame) == stage


@given(st.lists(st.text(max_size=30), max_size=10))
def test_lines_that_are_no_stacks_are_passed_over(lines: list[str]) -> None:
    assert all(count >= 0 for count in read_stacks(lines).values())


def test_a_tree_has_every_sample_once() -> None:
    root = build_tree(read_stacks(LINES))
    assert root.samples == 105
    run = root.callees["run (main.py)"]
    assert run.samples == 100
    assert run.callees["start (aiohttp/web_protocol.py)"].samples == 90
