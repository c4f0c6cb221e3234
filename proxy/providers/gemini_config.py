"""Builds Gemini's generationConfig of a chat request; called by gemini_request.py."""

from collections.abc import Mapping
from typing import Any

from proxy.providers.gemini_schema import gemini_schema
from proxy.providers.gemini_thinking import thinking_config
from proxy.providers.translation import Document, UntranslatableError

_PASSED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",  # after the older name, which it replaces
}
_INT32_MASK = 0x7FFF_FFFF


def generation_config(doc: Mapping[str, Any], extras: Mapping[str, Any], model: str) -> Document:
    """Return the generationConfig, {} when nothing is asked.

    `extras` are Google's own settings of the request, in Google's names. Raises
    UntranslatableError.
    """
    config: Document = {
        theirs: doc[ours] for ours, theirs in _PASSED.items() if doc.get(ours) is not None
    }
    if isinstance(doc.get("n"), int) and doc["n"] > 1:
        config["candidateCount"] = doc["n"]
    if doc.get("stop"):
        config["stopSequences"] = [doc["stop"]] if isinstance(doc["stop"], str) else doc["stop"]
    if isinstance(doc.get("seed"), int):
        config["seed"] = doc["seed"] & _INT32_MASK  # Gemini's are 32 bits; equal ones stay equal
    if doc.get("logprobs") is True:
        config["responseLogprobs"] = True
        if doc.get("top_logprobs"):
            config["logprobs"] = doc["top_logprobs"]
    config |= _format(doc.get("response_format"))
    config |= _modalities(doc.get("modalities"))
    return config | _extras(extras, doc.get("reasoning_effort"), model)


def _format(wanted: Any) -> Document:
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if wanted is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    holder = wanted.get("json_schema") if kind == "json_schema" else None
    if not isinstance(holder, Mapping):
        hint = "Send the type text, json_object or json_schema, the last with its 'json_schema'."
        message = "'response_format' is none that Gemini knows."
        raise UntranslatableError(message, hint, param="response_format")
    config: Document = {"responseMimeType": "application/json"}
    if holder.get("schema") is not None:
        param = "response_format.json_schema.schema"
        config["responseJsonSchema"] = gemini_schema(holder["schema"], param)
    return config


def _modalities(wanted: Any) -> Document:
    if not wanted or wanted == ["text"]:
        return {}
    if not isinstance(wanted, list) or not set(map(str, wanted)) <= {"text", "image"}:
        raise UntranslatableError(
            "'modalities' asks for more than text and images.",
            "Spoken answers of Gemini have no counterpart in chat completions: ask for text.",
            param="modalities",
        )
    return {"responseModalities": [str(name).upper() for name in wanted]}


def _extras(extras: Mapping[str, Any], effort: Any, model: str) -> Document:
    """Return the extras that belong here, and how much to think unless they say it."""
    config = {name: extras[name] for name in ("mediaResolution", "imageConfig") if name in extras}
    thinking = extras.get("thinkingConfig")
    thinking = dict(thinking) if isinstance(thinking, Mapping) else {}
    if effort is not None and not thinking.keys() & {"thinkingLevel", "thinkingBudget"}:
        thinking |= thinking_config(effort, model)
    return {**config, "thinkingConfig": thinking} if thinking else config
