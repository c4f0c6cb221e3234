"""Splits the usage block that nearly every answer has, OpenAI's of a chat, and no other (pure).

Called by proxy.end_usage before ledger.usage_dialects, a tenth of whose time it takes. Whatever
it does not know to the last key it leaves to those readers; where it answers, they say the same.
"""

from collections.abc import Mapping
from typing import Any

from ledger.token_buckets import TokenBuckets
from ledger.usage_counts import MOST_TOKENS

_INPUT_NAMES = ("cached_tokens", "audio_tokens")
# The last two are inside the text that was put out.
_OUTPUT_NAMES = (
    *("reasoning_tokens", "audio_tokens"),
    *("accepted_prediction_tokens", "rejected_prediction_tokens"),
)


def plain_buckets(usage: Mapping[str, Any]) -> TokenBuckets | None:
    """The buckets of a plain block; None when it is another, doubtful or malformed.

    Plain: three totals that add up, and either both blocks of details or none.
    """
    if type(usage) is not dict:
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    total = usage.get("total_tokens")
    if not (type(prompt) is type(completion) is type(total) is int):
        return None
    if not 0 <= prompt <= MOST_TOKENS >= completion >= 0 or total != prompt + completion:
        return None
    reads = audio_in = reasoning = audio_out = 0
    if len(usage) != 3:
        inputs = _details(usage.get("prompt_tokens_details"), _INPUT_NAMES, prompt)
        outputs = _details(usage.get("completion_tokens_details"), _OUTPUT_NAMES, completion)
        if len(usage) != 5 or inputs is None or outputs is None:
            return None
        reads, audio_in = inputs
        reasoning, audio_out = outputs
    made = (prompt - reads - audio_in, reads, 0, 0, audio_in, 0,
            completion - reasoning - audio_out, reasoning, audio_out, 0)  # fmt: skip
    return tuple.__new__(TokenBuckets, made)


def _details(block: Any, names: tuple[str, ...], total: int) -> tuple[int, int] | None:
    """The counts of the first two names; None unless these and the others fit into the total."""
    if type(block) is not dict:
        return None
    for name, count in block.items():
        if name not in names or type(count) is not int or not 0 <= count <= total:
            return None
    first, second = block.get(names[0], 0), block.get(names[1], 0)
    return (first, second) if first + second <= total else None
