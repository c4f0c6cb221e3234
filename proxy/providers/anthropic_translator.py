"""Callers who speak chat completions, upstreams that speak Anthropic's Messages.

Chosen by matrix.py; the parts are in the anthropic_*.py files beside it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.providers.anthropic_answer import to_completion
from proxy.providers.anthropic_errors import to_chat_error
from proxy.providers.anthropic_request import LimitOf, forced_tool, to_messages_request
from proxy.providers.anthropic_stream import MessagesToChunks
from proxy.providers.translation import Document


def no_limit(_: str) -> int | None:
    return None


def no_time() -> int:
    return 0


class ChatToAnthropic:
    """A Translator.

    `limit_of` tells the most output tokens of a model, None when unknown; `now_s_of` the seconds
    since 1970 for `created`, which Anthropic does not send.
    """

    def __init__(self, limit_of: LimitOf = no_limit, now_s_of: Callable[[], int] = no_time) -> None:
        self._limit_of = limit_of
        self._now_s_of = now_s_of

    def request(self, doc: Mapping[str, Any]) -> Document:
        return to_messages_request(doc, self._limit_of)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return to_completion(document, forced_tool(asked), self._now_s_of())

    def stream(self, asked: Mapping[str, Any]) -> MessagesToChunks:
        options = asked.get("stream_options")
        has_usage = isinstance(options, dict) and options.get("include_usage") is True
        return MessagesToChunks(
            has_usage=has_usage, schema_tool=forced_tool(asked), created_s=self._now_s_of()
        )

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return to_chat_error(document)
