"""Names with `*`: which texts they stand for, and that nothing else is special."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.globs import pattern_of


@pytest.mark.parametrize(
    ("names", "matching", "other"),
    [
        (("gpt-4o",), "gpt-4o", "gpt-4o-mini"),
        (("gpt-*",), "gpt-4o-mini", "my-gpt-4o"),
        (("*",), "", None),
        (("a", "b*"), "bc", "ab"),
        (("ft:gpt[1].x?",), "ft:gpt[1].x?", "ft:gpt1.x"),
    ],
)
def test_a_star_is_any_text(names: tuple[str, ...], matching: str, other: str | None) -> None:
    assert pattern_of(names).fullmatch(matching)
    assert other is None or not pattern_of(names).fullmatch(other)


@given(st.text(st.characters(exclude_characters="*")), st.text())
def test_without_a_star_only_the_name_itself(name: str, text: str) -> None:
    assert bool(pattern_of((name,)).fullmatch(text)) == (name == text)
