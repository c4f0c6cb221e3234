"""The two translations from OpenAI's dialect to Gemini's, and Gemini's paths; used by matrix.py.

The model and streaming are no part of a Gemini body: they are in the path. Authentication is the
header `x-goog-api-key`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from proxy.providers.gemini_answer import gemini_to_chat
from proxy.providers.gemini_embeddings import embeddings_answer, embeddings_request
from proxy.providers.gemini_errors import chat_error
from proxy.providers.gemini_request import chat_to_gemini
from proxy.providers.gemini_stream import GeminiToChatStream
from proxy.providers.translation import Document, StreamTranslator, UntranslatableError

GEMINI_KEY_HEADER = "x-goog-api-key"
_COLLECTIONS = ("models/", "tunedModels/")


def gemini_path(model: str, *, is_streaming: bool) -> str:
    """Return the path below the API's version (`/v1beta/`) that generates an answer."""
    method = "streamGenerateContent?alt=sse" if is_streaming else "generateContent"
    return f"{_resource(model)}:{method}"


def gemini_embeddings_path(model: str) -> str:
    """Return the path below the API's version that embeds a batch of texts."""
    return f"{_resource(model)}:batchEmbedContents"


def _resource(model: str) -> str:
    for collection in _COLLECTIONS:
        if model.startswith(collection):
            return collection + quote(model.removeprefix(collection), safe="")
    return "models/" + quote(model, safe="")


class ChatToGemini:
    """Chat completions on generateContent and streamGenerateContent: a Translator."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        return chat_to_gemini(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return gemini_to_chat(document, asked)

    def stream(self, asked: Mapping[str, Any]) -> StreamTranslator:
        return GeminiToChatStream(asked)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return chat_error(document)


class EmbeddingsToGemini:
    """OpenAI's embeddings on batchEmbedContents: a Translator."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        return embeddings_request(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return embeddings_answer(document, asked)

    def stream(self, asked: Mapping[str, Any]) -> StreamTranslator:
        del asked
        raise UntranslatableError(
            "Embeddings are not streamed.", "Leave out 'stream'.", param="stream"
        )

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return chat_error(document)
