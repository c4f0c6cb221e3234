"""The names Google's API knows, and its refusal of every other; used by gemini_requests.py.

The real API answers 400 to a field it does not know. So does the mock: a gateway that lets a field
of another dialect through is found here and not at the first customer's.
"""

from typing import Any

from proxy.providers.mock.errors import MockError

_OPAQUE = frozenset({
    "args", "response", "parameters", "parametersJsonSchema", "responseSchema",
    "responseJsonSchema", "labels",
})  # fmt: skip
REQUEST = frozenset({
    "model", "contents", "systemInstruction", "tools", "toolConfig", "safetySettings",
    "generationConfig", "cachedContent", "serviceTier", "labels", "store",
})  # fmt: skip
CONFIG = frozenset({
    "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema",
    "responseModalities", "candidateCount", "maxOutputTokens", "temperature", "topP", "topK",
    "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs",
    "enableEnhancedCivicAnswers", "speechConfig", "thinkingConfig", "imageConfig",
    "mediaResolution",
})  # fmt: skip
PART = frozenset({
    "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall",
    "functionResponse", "executableCode", "codeExecutionResult", "videoMetadata",
    "mediaResolution", "partMetadata",
})  # fmt: skip
CALL = frozenset({"id", "name", "args"})
RESULT = frozenset({"id", "name", "response", "parts", "willContinue", "scheduling"})
DECLARATION = frozenset({
    "name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema",
    "behavior",
})  # fmt: skip


def camel_names(value: Any, depth: int = 0) -> Any:
    """Write a document's names as `camelCase`; Google takes `snake_case` as well."""
    if depth > 32:
        raise MockError("Invalid JSON payload received: it is nested too deeply.")
    if isinstance(value, list):
        return [camel_names(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    named = {}
    for name, inner in value.items():
        first, *others = name.split("_")
        camel = first + "".join(other.capitalize() for other in others)
        named[camel] = inner if camel in _OPAQUE else camel_names(inner, depth + 1)
    return named


def known_object(value: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    """Return the value, which must be an object of known fields only."""
    if not isinstance(value, dict):
        raise MockError(f"Invalid value at '{where}': expected an object.")
    for name in value.keys() - known:
        message = f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}'."
        raise MockError(f"{message[:200]}: Cannot find field.")
    return value


def list_at(holder: dict[str, Any], name: str, where: str) -> list[Any]:
    """Return the list a field holds, [] when it is absent."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MockError(f"Invalid value at '{where}{name}': expected a list.")
    return value


def object_at(holder: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object a field holds, {} when it is absent."""
    value = holder.get(name)
    if value is not None and not isinstance(value, dict):
        raise MockError(f"Invalid value at '{name}': expected an object.")
    return value or {}
