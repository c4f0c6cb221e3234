"""What Anthropic's models can do, read off their names; called by anthropic_request.py and others.

Names carry a family and a version (claude-opus-4-6, claude-3-7-sonnet-latest). A name without a
version is taken for a current model. Facts from Anthropic's pages on effort, extended thinking and
structured outputs.

| reasoning_effort | 4.6 and later: output_config.effort | before: thinking.budget_tokens |
|---|---|---|
| none | thinking disabled | no thinking |
| minimal, low | low | 1024, 2048 |
| medium | medium | 8192 |
| high | high | 16384 |
| xhigh | xhigh (4.6: high) | 24576 |
| max | max | 32768 |
"""

import re

OLD_NAME = re.compile(r"claude-(\d)(?:[-.](\d))?(?!\d)")
NEW_NAME = re.compile(r"claude-[a-z]+-(\d)(?:[-.](\d{1,2}))?(?!\d)")
CURRENT = (99, 0)
FIRST_WITH_EFFORT = (4, 6)
FIRST_WITH_XHIGH = (4, 7)
FIRST_WITH_THINKING = (3, 7)
FIRST_WITH_SCHEMAS = {"opus": (4, 1)}
FIRST_WITH_SCHEMAS_ELSE = (4, 5)
LEAST_BUDGET_TOKENS = 1024
BUDGET_TOKENS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
EFFORTS = frozenset({"none", *BUDGET_TOKENS})


def version_of(model: str) -> tuple[int, int]:
    """Return (major, minor) of a model's name; CURRENT when the name says none."""
    match = OLD_NAME.search(model) or NEW_NAME.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else CURRENT


def has_effort(model: str) -> bool:
    return version_of(model) >= FIRST_WITH_EFFORT


def has_thinking(model: str) -> bool:
    return version_of(model) >= FIRST_WITH_THINKING


def has_schemas(model: str) -> bool:
    """Whether the model's answers can be held to a JSON schema."""
    families = (first for family, first in FIRST_WITH_SCHEMAS.items() if family in model)
    return version_of(model) >= next(families, FIRST_WITH_SCHEMAS_ELSE)


def effort_of(model: str, effort: str) -> str:
    """Return Anthropic's word for an effort of OpenAI's, for a model that has efforts."""
    if effort == "minimal":
        return "low"
    return "high" if effort == "xhigh" and version_of(model) < FIRST_WITH_XHIGH else effort
