"""How much a Gemini model is to think, by `reasoning_effort`; called by gemini_config.py.

    reasoning_effort   thinkingLevel (3 and later)     thinkingBudget (2.5), tokens
    none               refused: it cannot be off       0; refused for pro
    minimal            MINIMAL; LOW for pro            1,024
    low                LOW                             1,024
    medium             MEDIUM                          8,192
    high, xhigh, max   HIGH                            24,576

The figures are Google's, from its page on OpenAI compatibility. Older models do not think, so
that any effort is theirs.
"""

import re
from typing import Any

from proxy.providers.translation import Document, UntranslatableError

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?!\d)")
_WITHOUT_VERSION = re.compile(r"gemini-(flash|pro)(-lite)?-latest")
_LEVELS = {
    "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM",
    "high": "HIGH", "xhigh": "HIGH", "max": "HIGH",
}  # fmt: skip
_BUDGETS = {
    "none": 0, "minimal": 1024, "low": 1024, "medium": 8192,
    "high": 24_576, "xhigh": 24_576, "max": 24_576,
}  # fmt: skip


def has_levels(model: str) -> bool:
    """Whether the model takes a level, and wants its thought signatures back: Gemini 3 and on."""
    version = _VERSION.search(model)
    if version is None:
        return _WITHOUT_VERSION.search(model) is not None
    return int(version[1]) >= 3


def thinking_config(effort: Any, model: str) -> Document:
    """Return the `thinkingConfig` for an effort; {} when the model does not think.

    Raises UntranslatableError for an effort that is none or that the model cannot have.
    """
    if not isinstance(effort, str) or effort not in _BUDGETS:
        known = ", ".join(_BUDGETS)
        raise _refused(f"is {str(effort)[:40]!r}", f"Send one of {known}.")
    is_pro = "-pro" in model
    if has_levels(model):
        if effort == "none":
            raise _refused("is 'none', and this model always thinks", "Send 'minimal' or 'low'.")
        return {"thinkingLevel": "LOW" if is_pro and effort == "minimal" else _LEVELS[effort]}
    version = _VERSION.search(model)
    if version is None or (version[1], version[2]) != ("2", "5"):
        return {}
    if effort == "none" and is_pro:
        raise _refused("is 'none', and this model always thinks", "Send 'minimal' or 'low'.")
    return {"thinkingBudget": _BUDGETS[effort]}


def _refused(what: str, hint: str) -> UntranslatableError:
    message = f"'reasoning_effort' {what}."
    return UntranslatableError(message, hint, param="reasoning_effort")
