"""Callers who speak Anthropic's Messages, upstreams that speak chat completions.

Chosen by matrix.py; the parts are in the messages_*.py files beside it.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.anthropic_errors import to_messages_error
from proxy.providers.messages_answer import to_message
from proxy.providers.messages_checks import refused
from proxy.providers.messages_request import to_chat_request
from proxy.providers.messages_stream import ChunksToMessages
from proxy.providers.translation import Document, UntranslatableError


class MessagesToChat:
    """A Translator; the refusals of its requests are worded for Anthropic's clients."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        return to_chat_request(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:  # noqa: ARG002
        return to_message(document)

    def stream(self, asked: Mapping[str, Any]) -> ChunksToMessages:  # noqa: ARG002
        return ChunksToMessages()

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return to_messages_error(document)


def count_tokens_refusal(model: str) -> UntranslatableError:
    """Make the error for counting tokens at a provider that does not offer it."""
    hint = "Send the message and read its usage, or use one of Anthropic's models."
    return refused("model", f"{model[:100]!r} is at a provider that counts no tokens", hint)
