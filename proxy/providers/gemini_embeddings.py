"""OpenAI's embeddings in Gemini's batchEmbedContents and back; called by gemini_translators.py."""

import base64
import sys
from array import array
from collections.abc import Mapping
from typing import Any

from proxy.providers.gemini_usage import embeddings_usage
from proxy.providers.translation import Document, UntranslatableError

_HINT = "Send 'input' as a text or a list of texts."


def embeddings_request(doc: Mapping[str, Any]) -> Document:
    """Return the body for batchEmbedContents; every one of its requests names the model.

    Raises UntranslatableError.
    """
    texts = doc.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        message = "Gemini embeds texts: token numbers mean nothing to it."
        raise UntranslatableError(message, _HINT, param="input")
    if not texts:
        raise UntranslatableError("'input' is empty.", _HINT, param="input")
    model = str(doc.get("model") or "")
    shared: Document = {"model": model if "/" in model else f"models/{model}"}
    if doc.get("dimensions") is not None:
        shared["outputDimensionality"] = doc["dimensions"]
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]}


def embeddings_answer(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """Return OpenAI's embeddings answer; without `usage` when Google counted nothing.

    Raises ValueError when the document is none of Gemini's, or not one vector for each input.
    """
    embeddings = document.get("embeddings")
    texts = asked.get("input")
    wanted = 1 if isinstance(texts, str) else len(texts or ())
    if not isinstance(embeddings, list) or len(embeddings) != wanted:
        raise ValueError(f"Gemini's answer does not hold {wanted} embeddings")
    is_base64 = asked.get("encoding_format") == "base64"
    answer: Document = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(item, is_base64=is_base64)}
            for index, item in enumerate(embeddings)
        ],
        "model": str(asked.get("model")),
    }
    usage = embeddings_usage(document.get("usageMetadata"))
    return {**answer, "usage": usage} if usage else answer


def _vector(item: Any, *, is_base64: bool) -> str | list[float]:
    values = item.get("values") if isinstance(item, Mapping) else None
    if not isinstance(values, list) or not values:
        raise ValueError("an embedding of Gemini's answer has no values")
    if not is_base64:
        return values
    try:
        floats = array("f", values)
    except (TypeError, OverflowError) as error:
        raise ValueError(
            f"an embedding of Gemini's answer is no list of numbers: {error}"
        ) from error
    if sys.byteorder == "big":
        floats.byteswap()  # the wire is little-endian
    return base64.b64encode(floats.tobytes()).decode()
