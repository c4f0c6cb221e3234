"""OpenAI's legacy completions, as the pipeline reads them. Listed in table.py."""

from typing import Any

from proxy.dialects.chat import chat_ending, read_chat_answer
from proxy.dialects.dialect import Dialect
from proxy.dialects.reading import Asked, count, flag, optional_object, optional_text, text_or_list
from proxy.streaming.completions_tap import CompletionsTap
from proxy.streaming.replay import DONE_EVENT


def read_completions_request(doc: dict[str, Any]) -> Asked:
    """Check a completion request."""
    text_or_list(doc, "prompt", "the text to complete")
    optional_text(doc, "user")
    options = optional_object(doc, "stream_options")
    return Asked(
        is_streaming=flag(doc, "stream"),
        asked_usage=options.get("include_usage") is True,
        max_output_tokens=count(doc, "max_tokens", 0),
        choices_n=max(count(doc, "n", 1), count(doc, "best_of", 1)),
    )


COMPLETIONS = Dialect(
    endpoint="completions",
    read_request=read_completions_request,
    read_answer=read_chat_answer,
    open_tap=lambda strips, keeps: CompletionsTap(strips_usage=strips, keeps_bytes_limit=keeps),
    output_bounds=("max_tokens",),
    ending=chat_ending,
    usage_is_asked_for=True,
    replay_end=DONE_EVENT,
)
