"""How much to think, in the words of each family of models on Bedrock; for bedrock_request.py.

Read off the model's id, regional prefixes and ARNs included. Facts from the pages of AWS on
Claude's extended and adaptive thinking, Nova 2's reasoningConfig and gpt-oss. A family that has no
such setting gets none: its models think as much as they do.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.providers.anthropic_models import (
    BUDGET_TOKENS,
    EFFORTS,
    FIRST_WITH_EFFORT,
    FIRST_WITH_THINKING,
    FIRST_WITH_XHIGH,
    LEAST_BUDGET_TOKENS,
)
from proxy.providers.bedrock_checks import refused
from proxy.providers.translation import Document

CLAUDE_NEW = re.compile(r"anthropic\.claude-[a-z]+-(\d)(?:-(\d{1,2})(?!\d))?")
CLAUDE_OLD = re.compile(r"anthropic\.claude-(\d)(?:-(\d)(?!\d))?")
# gpt-oss and Nova 2 know three efforts.
THREE_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}


def put_reasoning(request: Document, doc: Mapping[str, Any], model: str) -> None:
    """Add what `reasoning_effort` asks for; the caller's own `thinking` wins over it."""
    effort = doc.get("reasoning_effort")
    if effort is None or doc.get("thinking") is not None:
        return
    if not isinstance(effort, str) or effort not in EFFORTS:
        raise refused("reasoning_effort", "is not known", f"Use {', '.join(sorted(EFFORTS))}.")
    fields = request.setdefault("additionalModelRequestFields", {})
    if effort == "none":
        pass
    elif "openai.gpt-oss" in model:
        fields.setdefault("reasoning_effort", THREE_EFFORTS.get(effort, effort))
    elif "amazon.nova-2" in model:
        most = THREE_EFFORTS.get(effort, effort)
        fields.setdefault("reasoningConfig", {"type": "enabled", "maxReasoningEffort": most})
    elif claude_version(model) >= FIRST_WITH_THINKING and _may_think(request):
        _let_claude_think(request, fields, claude_version(model), effort)
    if not fields:
        del request["additionalModelRequestFields"]


def claude_version(model: str) -> tuple[int, int]:
    """Return (major, minor) of a Claude on Bedrock; (0, 0) when the id names no Claude."""
    match = CLAUDE_NEW.search(model) or CLAUDE_OLD.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def _let_claude_think(
    request: Document, fields: Document, version: tuple[int, int], effort: str
) -> None:
    inference: Document = request.get("inferenceConfig", {})
    if version >= FIRST_WITH_EFFORT:
        word = {"minimal": "low", "xhigh": "high" if version < FIRST_WITH_XHIGH else "xhigh"}
        fields.setdefault("thinking", {"type": "adaptive"})
        request.setdefault("outputConfig", {}).setdefault("effort", word.get(effort, effort))
    else:
        tokens = BUDGET_TOKENS[effort]
        if "maxTokens" in inference:
            # Thoughts count against the limit: half of it is left for the answer.
            tokens = min(tokens, inference["maxTokens"] // 2)
        if tokens < LEAST_BUDGET_TOKENS:
            return
        fields.setdefault("thinking", {"type": "enabled", "budget_tokens": tokens})
        if "maxTokens" not in inference:
            request.setdefault("inferenceConfig", inference)["maxTokens"] = tokens * 2
    for name in ("temperature", "topP"):  # refused by Claude while it thinks
        inference.pop(name, None)


def _may_think(request: Document) -> bool:
    """Claude thinks neither before a tool it must call nor after calls whose thoughts are lost."""
    choice = request.get("toolConfig", {}).get("toolChoice", {})
    if "any" in choice or "tool" in choice:
        return False
    answers = [turn["content"] for turn in request["messages"] if turn["role"] == "assistant"]
    if not answers or not any("toolUse" in block for block in answers[-1]):
        return True
    return "reasoningContent" in answers[-1][0]
