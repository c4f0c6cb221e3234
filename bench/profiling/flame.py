"""Draws a tree of stacks as a flame graph: an SVG with a tooltip on every frame. Pure."""

from collections.abc import Iterator
from html import escape

from bench.profiling.stacks import Node, stage_of

WIDTH, ROW, TOP = 1200, 17, 26
LEAST_WIDTH = 1.0  # of a frame that is drawn, in pixels
CHARACTER = 6.6
COLOURS = ("#7aa6d8", "#e0a25f", "#7dbb8a", "#c98bb9", "#d97b6c", "#9a90cf", "#c7b25a", "#6fb7b7")
REST_COLOUR = "#c3c8d1"

Placed = tuple[Node, float, float, int]  # with its x, width and depth


def draw(root: Node, title: str) -> str:
    """Callers above what they call; as wide as their share of the samples."""
    frames = list(place(root, 0.0, WIDTH, 0))
    height = TOP + ROW * (max((depth for *_, depth in frames), default=0) + 1) + 8
    colours = colours_by_stage(root)
    drawn = "\n".join(
        one_frame(node, x, width, depth, colours, root.samples) for node, x, width, depth in frames
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="ui-monospace,monospace" font-size="11">'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
        f'<text x="6" y="17" font-size="13">{escape(title)}</text>\n{drawn}\n</svg>\n'
    )


def place(
    node: Node, x: float, width: float, depth: int
) -> Iterator[tuple[Node, float, float, int]]:
    """Every frame wide enough to be seen, with its x, width and depth."""
    if width < LEAST_WIDTH or not node.samples:
        return
    yield node, x, width, depth
    for callee in sorted(node.callees.values(), key=lambda each: each.name):
        share = width * callee.samples / node.samples
        yield from place(callee, x, share, depth + 1)
        x += share


def colours_by_stage(root: Node) -> dict[str, str]:
    """A colour for each stage that occurs."""
    stages = sorted(stages_in(root))
    return {stage: COLOURS[number % len(COLOURS)] for number, stage in enumerate(stages)}


def stages_in(node: Node) -> set[str]:
    stage = stage_of(node.name)
    found = {stage} if stage is not None else set()
    return found.union(*(stages_in(callee) for callee in node.callees.values()))


def one_frame(
    node: Node, x: float, width: float, depth: int, colours: dict[str, str], total: int
) -> str:
    y = TOP + depth * ROW
    fill = colours.get(stage_of(node.name) or "", REST_COLOUR)
    tip = f"{node.name}: {node.samples / total:.1%}"
    room = int((width - 4) / CHARACTER)
    label = node.name if len(node.name) <= room else node.name[: max(room - 2, 0)] + ".."
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text>' if room > 3 else ""
    return (
        f'<g><title>{escape(tip)}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{ROW - 1}" fill="{fill}"/>{text}</g>'
    )
