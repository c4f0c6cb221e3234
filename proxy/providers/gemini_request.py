"""Turns a chat completions request into Gemini's generateContent; called by gemini_translators.py.

What does not touch the answer is left out: `user`, `safety_identifier`, `metadata`, `store`,
`prompt_cache_*`, `prediction`, `strict`, and every field that is new here. What asks for another
answer, and has no word in Gemini, is refused.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.gemini_config import generation_config
from proxy.providers.gemini_contents import gemini_contents
from proxy.providers.gemini_parts import check_depth
from proxy.providers.gemini_thinking import has_levels
from proxy.providers.gemini_tools import gemini_tools
from proxy.providers.translation import Document, UntranslatableError

_UNSAYABLE = {
    "logit_bias": "Leave it out, or send the request to a model of another provider.",
    "functions": "Send them as 'tools'.",
    "function_call": "Send it as 'tool_choice'.",
    "web_search_options": "Leave it out, or call Gemini's own API, where search is a tool.",
    "audio": "Leave it out: spoken answers of Gemini have no counterpart in chat completions.",
}
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
# Google's own settings, by the name its OpenAI door gives them and the name its API does.
_EXTRAS = {
    "safety_settings": "safetySettings",
    "cached_content": "cachedContent",
    "thinking_config": "thinkingConfig",
    "media_resolution": "mediaResolution",
    "image_config": "imageConfig",
}
_BESIDE_CONFIG = ("safetySettings", "cachedContent")


def chat_to_gemini(doc: Mapping[str, Any]) -> Document:
    """Return the body for generateContent; the model and streaming are in its path.

    Raises UntranslatableError.
    """
    for name, hint in _UNSAYABLE.items():
        if doc.get(name):
            raise UntranslatableError(f"Gemini has no '{name}'.", hint, param=name)
    if doc.get("verbosity") not in (None, "medium"):
        hint = "Leave it out and ask for the length in a message."
        raise UntranslatableError("Gemini has no 'verbosity'.", hint, param="verbosity")
    model = str(doc.get("model") or "")
    extras = _google_extras(doc)
    body = gemini_contents(doc.get("messages"), needs_signatures=has_levels(model))
    body |= gemini_tools(doc)
    config = generation_config(doc, extras, model)
    if config:
        body["generationConfig"] = config
    tier = doc.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["serviceTier"] = _TIERS[tier]
    return body | {name: extras[name] for name in _BESIDE_CONFIG if name in extras}


def _google_extras(doc: Mapping[str, Any]) -> Document:
    """Gather Google's own settings: beside the others, in `google`, or in `extra_body.google`."""
    extra_body = doc.get("extra_body")
    nested = extra_body.get("google") if isinstance(extra_body, Mapping) else None
    extras: Document = {}
    for holder in (doc.get("google"), nested):
        for name, value in holder.items() if isinstance(holder, Mapping) else ():
            known = _EXTRAS.get(str(name), str(name))
            if known not in _EXTRAS.values():
                message = f"'google.{str(name)[:40]}' is not a setting that passes through here."
                hint = f"Settings that do: {', '.join(_EXTRAS)}."
                raise UntranslatableError(message, hint, param="google")
            extras[known] = _camel(value)
    beside = {theirs: doc[ours] for ours, theirs in _EXTRAS.items() if doc.get(ours) is not None}
    extras |= {name: _camel(value) for name, value in beside.items()}
    check_depth(extras, "google")
    return extras


def _camel(value: Any) -> Any:
    """Write the names of one object as Google's JSON does: include_thoughts, includeThoughts."""
    if not isinstance(value, Mapping):
        return value
    return {_camel_name(str(name)): inner for name, inner in value.items()}


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
