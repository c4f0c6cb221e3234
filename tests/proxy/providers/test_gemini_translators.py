"""Whole exchanges with Gemini against the golden files, cut at every byte; paths and keys."""

from typing import Any

import pytest
from google.genai import types

from proxy.providers.gemini_translators import (
    ChatToGemini,
    EmbeddingsToGemini,
    gemini_embeddings_path,
    gemini_path,
)
from proxy.providers.translation import Translator, UntranslatableError
from tests.proxy.providers.gemini_goldens import as_stream, goldens, read_stream

CHAT: Translator = ChatToGemini()
EMBEDDINGS: Translator = EmbeddingsToGemini()


@pytest.mark.parametrize("golden", goldens("requests"))
def test_request(golden: dict[str, Any]) -> None:
    before = repr(golden["chat"])
    assert CHAT.request(golden["chat"]) == golden["gemini"]
    assert repr(golden["chat"]) == before


@pytest.mark.parametrize("golden", goldens("requests"))
def test_googles_own_types_know_every_field_of_a_request(golden: dict[str, Any]) -> None:
    body = dict(CHAT.request(golden["chat"]))
    for content in [*body.pop("contents"), body.pop("systemInstruction", {"parts": []})]:
        types.Content.model_validate(_readable(content))
    for tool in body.pop("tools", []):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.pop("toolConfig", {}))
    types.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    for setting in body.pop("safetySettings", []):
        types.SafetySetting.model_validate(setting)
    body.pop("serviceTier", None)
    body.pop("cachedContent", None)
    assert not body, "a field that Google's API does not know"


def _readable(content: dict[str, Any]) -> dict[str, Any]:
    """Leave out the signatures: those of the published examples are no base64."""
    parts = [
        {name: value for name, value in part.items() if name != "thoughtSignature"}
        for part in content["parts"]
    ]
    return {**content, "parts": parts}


@pytest.mark.parametrize("golden", goldens("answers"))
def test_answer(golden: dict[str, Any]) -> None:
    assert CHAT.answer(golden["gemini"], golden["asked"]) == golden["chat"]


@pytest.mark.parametrize("golden", goldens("streams"))
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_stream(golden: dict[str, Any], end: bytes) -> None:
    stream = CHAT.stream(golden["asked"])
    assert read_stream(stream.feed(as_stream(golden["gemini"], end))) == golden["chat"]
    assert stream.is_done == golden["is_done"]
    assert stream.usage == golden["usage"]


@pytest.mark.parametrize("golden", goldens("streams"))
def test_stream_cut_at_every_byte(golden: dict[str, Any]) -> None:
    data = as_stream(golden["gemini"])
    whole = CHAT.stream(golden["asked"]).feed(data)
    for cut in range(1, len(data)):
        stream = CHAT.stream(golden["asked"])
        assert stream.feed(data[:cut]) + stream.feed(data[cut:]) == whole
    bytewise = CHAT.stream(golden["asked"])
    assert b"".join(bytewise.feed(data[at : at + 1]) for at in range(len(data))) == whole
    assert bytewise.is_done == golden["is_done"]


@pytest.mark.parametrize("golden", goldens("streams"))
def test_usage_chunk_only_when_asked(golden: dict[str, Any]) -> None:
    asked = {name: value for name, value in golden["asked"].items() if name != "stream_options"}
    out = CHAT.stream(asked).feed(as_stream(golden["gemini"]))
    assert b'"usage"' not in out
    assert all(chunk == "[DONE]" or chunk.get("choices", [1]) for chunk in read_stream(out))


def test_paths() -> None:
    assert gemini_path("gemini-2.5-pro", is_streaming=False) == (
        "models/gemini-2.5-pro:generateContent"
    )
    assert gemini_path("models/gemini-2.5-pro", is_streaming=True) == (
        "models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    )
    assert gemini_path("tunedModels/mine", is_streaming=False) == "tunedModels/mine:generateContent"
    assert gemini_path("../files?x=", is_streaming=False) == (
        "models/..%2Ffiles%3Fx%3D:generateContent"
    )
    assert gemini_embeddings_path("gemini-embedding-001") == (
        "models/gemini-embedding-001:batchEmbedContents"
    )


def test_embeddings_are_not_streamed() -> None:
    with pytest.raises(UntranslatableError, match="not streamed"):
        EMBEDDINGS.stream({"input": "a"})
