"""Fields of chat completions that Anthropic lacks: refused or left out. For anthropic_request.py.

A field is refused when leaving it out would give another answer than the one asked for, or a
dearer one. Everything not named here or read elsewhere passes as it is: providers add fields
every month.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.messages_checks import refused

# Field -> (values that ask for nothing, what to do instead)
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "Send the request several times."),
    "logprobs": ((False,), "Anthropic gives no log probabilities; use an OpenAI model."),
    "top_logprobs": ((0,), "Anthropic gives no log probabilities; use an OpenAI model."),
    "logit_bias": (({},), "Leave it out, or use an OpenAI model."),
    "frequency_penalty": ((0,), "Leave it out, or use an OpenAI model."),
    "presence_penalty": ((0,), "Leave it out, or use an OpenAI model."),
    "audio": ((), "Anthropic's models answer in text; use an OpenAI model."),
    "modalities": ((["text"], []), "Anthropic's models answer in text; use ['text']."),
    "functions": (([],), "Use 'tools'."),
    "function_call": (("auto", "none"), "Use 'tool_choice'."),
    "web_search_options": ((), "Pass Anthropic's own web search tool in 'tools'."),
    "moderation": ((), "Leave it out, or use an OpenAI model."),
    "verbosity": (("medium",), "Say in the prompt how long the answer should be."),
}
# They steer caches, storage, abuse checks or speed, or are wishes the API itself calls best effort.
LEFT_OUT = frozenset({
    "seed", "store", "metadata", "prediction", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "stream_options", *REFUSED,
})  # fmt: skip
TIERS = {
    "auto": "auto",
    "default": "standard_only",
    "priority": "auto",
    "fast": "auto",
    "scale": "auto",
    "standard_only": "standard_only",
}


def check_fields(doc: Mapping[str, Any]) -> None:
    """Raise UntranslatableError for the first field that cannot be honoured."""
    for name, (neutral, hint) in REFUSED.items():
        value = doc.get(name)
        if value is not None and value not in neutral:
            raise refused(name, "cannot be honoured by Anthropic", hint)
    temperature = doc.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        hint = "Anthropic's temperatures go from 0 to 1; scale yours down."
        raise refused("temperature", "is above 1", hint)


def tier_of(value: Any) -> str | None:
    """Return Anthropic's service tier; flex is refused: its price is not to be had there."""
    if value is None:
        return None
    if not isinstance(value, str) or value not in TIERS:
        raise refused("service_tier", "is not offered by Anthropic", "Use auto or default.")
    return TIERS[value]
