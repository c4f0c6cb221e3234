"""What is read off the names of Anthropic's models."""

import pytest

from proxy.providers.anthropic_models import (
    CURRENT,
    effort_of,
    has_effort,
    has_schemas,
    has_thinking,
    version_of,
)


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-2", (2, 0)),
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", (3, 5)),
        ("anthropic/claude-3.7-sonnet", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-opus-4-5", (4, 5)),
        ("claude-haiku-4-5-20251001", (4, 5)),
        ("claude-opus-4.6", (4, 6)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-mythos-preview", CURRENT),
        ("our-alias", CURRENT),
    ],
)
def test_version(model: str, version: tuple[int, int]) -> None:
    assert version_of(model) == version


def test_abilities_begin_with_a_version() -> None:
    assert [has_thinking(m) for m in ("claude-3-5-haiku", "claude-3-7-sonnet")] == [False, True]
    assert [has_effort(m) for m in ("claude-opus-4-5", "claude-opus-4-6")] == [False, True]
    schemas = ("claude-opus-4-0", "claude-opus-4-1", "claude-sonnet-4-1", "claude-haiku-4-5")
    assert [has_schemas(m) for m in schemas] == [False, True, False, True]


def test_efforts_are_said_as_the_model_takes_them() -> None:
    assert effort_of("claude-opus-5", "minimal") == "low"
    assert effort_of("claude-opus-4-6", "xhigh") == "high"
    assert effort_of("claude-opus-4-7", "xhigh") == "xhigh"
    assert effort_of("claude-opus-4-6", "max") == "max"
