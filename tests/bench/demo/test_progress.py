"""The progress bar: one line on a terminal, a few plain ones elsewhere."""

import io

from bench.demo.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_a_few_plain_lines() -> None:
    stream = io.StringIO()
    progress = Progress("balanced", 1000, stream)
    for _ in range(1000):
        progress.advance("hit 3")
    progress.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert "1,000/1,000" in lines[-1]
    assert "\r" not in stream.getvalue()
    assert lines[-1].endswith("hit 3")


def test_a_terminal_gets_one_line_drawn_over() -> None:
    stream = Terminal()
    progress = Progress("balanced", 3, stream)
    for _ in range(3):
        progress.advance()
    progress.close()
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "3/3" in text.rsplit("\r", 1)[1]
