"""The flame graph: well-formed, callees no wider than their caller, narrow frames left out."""

from xml.etree import ElementTree

from bench.profiling.flame import WIDTH, draw, place
from bench.profiling.stacks import build_tree, read_stacks

LINES = ("a <x> (proxy/intake.py);b (ledger/sink.py) 60", "a <x> (proxy/intake.py) 39999", "c 1")


def titles(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314  it is our own
    return [each.text or "" for each in root.iter() if each.tag.endswith("title")]


def test_callees_lie_within_their_caller() -> None:
    tree = build_tree(read_stacks(LINES))
    placed = {node.name: (x, x + width) for node, x, width, _ in place(tree, 0, WIDTH, 0)}
    left, right = placed["a <x> (proxy/intake.py)"]
    inner_left, inner_right = placed["b (ledger/sink.py)"]
    assert 0 <= left <= inner_left < inner_right <= right <= WIDTH


def test_frames_too_narrow_to_see_are_left_out_and_names_are_escaped() -> None:
    found = titles(draw(build_tree(read_stacks(LINES)), "a & b"))
    assert "a <x> (proxy/intake.py): 100.0%" in found
    assert not [title for title in found if title.startswith("c")]


def test_no_samples_give_an_empty_picture() -> None:
    assert titles(draw(build_tree(read_stacks([])), "nothing")) == []
