"""/v1/responses over an upstream that only speaks chat; chosen by matrix.py.

Stateless: nothing is kept, so what needs something kept is refused, and every answer says
store: false.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.chat_source import error_of_chat
from proxy.providers.responses_answer import response_of
from proxy.providers.responses_request import chat_request
from proxy.providers.responses_stream import ResponsesStream
from proxy.providers.translation import Document


class ResponsesToChat:
    """Requests go from Responses to chat; answers and streams come back."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        """Return the chat request; raises UntranslatableError."""
        return chat_request(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        """Return the Response of a chat completion; ValueError when it is none."""
        return response_of(document, asked)

    def stream(self, asked: Mapping[str, Any]) -> ResponsesStream:
        """Return a fresh filter from a chat stream to Responses events."""
        return ResponsesStream(asked)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        """Return the error document: both dialects have the same."""
        return error_of_chat(document)
