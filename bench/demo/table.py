"""Prints the demo's result as text. Called by the runner."""

import textwrap
from collections.abc import Sequence

from bench.demo.lines import Section
from bench.demo.origins import MEANINGS, ORIGINS

NOTE_WIDTH = 96


def render(sections: Sequence[Section], policies: Sequence[str]) -> str:
    """The sections under one head, columns as wide as their widest value."""
    lines = [line for section in sections for line in section.lines]
    title_width = max(len(line.title) for line in lines) + 2
    widths = [
        max(len(policy), *(len(line.values[column]) for line in lines))
        for column, policy in enumerate(policies)
    ]
    cells = "  ".join(policy.rjust(width) for policy, width in zip(policies, widths, strict=True))
    text = [f"{'':{title_width + 2}}{'':11}{cells}"]
    for section in sections:
        text += ["", section.title]
        for line in section.lines:
            values = "  ".join(v.rjust(w) for v, w in zip(line.values, widths, strict=True))
            text.append(f"  {line.title:{title_width}}{line.kind:11}{values}")
        text += [f"  {row}" for row in textwrap.wrap(section.note, NOTE_WIDTH)]
    return "\n".join(text)


def render_origins() -> str:
    """What the words real, derived, synthetic and measured mean."""
    rows = [f"  {kind:11}{meaning}" for kind, meaning in MEANINGS.items()]
    rows += ["", *(f"  {each.kind:11}{each.what}" for each in ORIGINS)]
    return "\n".join(rows)
