"""What the door to litellm must know of each kind it opens: addresses, ends of streams, refusals.

Read by litellm_door.py; a list in the source, since importing litellm takes seconds.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document, UntranslatableError

# Where litellm knows no address of its own. "" means that apex.yaml must give one.
ADDRESSES = {
    "ai21": "https://api.ai21.com/studio/v1",
    "azure_ai": "",
    "cohere": "https://api.cohere.com/v2/chat",
    "cohere_chat": "https://api.cohere.com/v2/chat",
    "databricks": "",
    "snowflake": "",
}
ADDRESS_EXAMPLES = {
    "azure_ai": "https://RESOURCE.services.ai.azure.com",
    "databricks": "https://WORKSPACE.cloud.databricks.com/serving-endpoints",
    "snowflake": "https://ACCOUNT.snowflakecomputing.com/api/v2",
}
# Kinds whose streams end with an event of this type, others with [DONE].
LAST_EVENTS = {"cohere": "message-end", "cohere_chat": "message-end"}
# The field that every answer of the kind has, and its type; of others `choices`.
ANSWER_FIELDS: dict[str, tuple[str, type]] = {
    "cohere": ("message", dict),
    "cohere_chat": ("message", dict),
}
# What litellm needs to find where a provider sent no usage; its result is thrown away.
NO_USAGE = {
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "tokens": {"input_tokens": 0, "output_tokens": 0},
}

# Kinds that one key and one POST do not reach -> what to do instead.
NEEDS_OWN_AUTH = {
    "github_copilot": "It signs in by device code: use kind github with a token.",
    "nlp_cloud": "Its models have addresses of their own: use its OpenAI-compatible one as openai.",
    "oci": "Each call is signed with a tenancy's keys: put a server that speaks OpenAI in front.",
    "predibase": "Its address holds a tenant: use its OpenAI-compatible one as kind openai.",
    "replicate": "Its answers are polled for: use a kind that answers the call itself.",
    "sagemaker": "Its calls are signed for SageMaker: put a server that speaks OpenAI in front.",
    "sagemaker_chat": "Its calls are signed: put a server that speaks OpenAI in front.",
    "triton": "litellm would fetch a chat template: use its OpenAI-compatible front end as openai.",
    "vertex_ai": "Its tokens come from a service account: use kind gemini with an API key.",
    "watsonx": "Its tokens last an hour and need a project: use its model gateway as kind openai.",
}

# Wishes that change speed, storage or bookkeeping, or that providers call best effort.
LEFT_OUT = frozenset({
    "user", "safety_identifier", "metadata", "store", "seed", "prediction", "prompt_cache_key",
    "prompt_cache_retention", "service_tier", "stream", "stream_options", "verbosity",
})  # fmt: skip
# Of litellm's own fields: a caller decides neither where a call goes nor with what credential.
ROUTING = frozenset({
    "api_base", "api_key", "api_version", "base_url", "default_headers", "deployment_id",
    "extra_headers", "max_retries", "organization", "request_timeout", "timeout",
})  # fmt: skip
# Of the fields that ask for something, the values that ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"], []),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("auto",),
}


def check_kind(kind: str, base_url: str, api_key: str) -> str:
    """Return the address to call; UntranslatableError when the kind cannot be served like this."""
    if kind in NEEDS_OWN_AUTH:
        raise UntranslatableError(
            f"An upstream of kind {kind} is no use yet.", NEEDS_OWN_AUTH[kind]
        )
    address = base_url.rstrip("/") or ADDRESSES.get(kind, "")
    if not address:
        example = ADDRESS_EXAMPLES.get(kind, "https://HOST")
        hint = f"Add base_url: {example} to it."
        raise UntranslatableError(f"An upstream of kind {kind} has no base_url.", hint)
    if not api_key:
        hint = "Add api_key: env:NAME to it."
        raise UntranslatableError(f"An upstream of kind {kind} has no api_key.", hint)
    return address


def split_fields(
    doc: Mapping[str, Any], supported: frozenset[str], known: frozenset[str]
) -> Document:
    """Return the settings to translate. UntranslatableError for one the provider does not have.

    `supported` are OpenAI's fields the provider has, `known` all of OpenAI's; others pass, they are
    the provider's own.
    """
    settings: Document = {}
    for name, value in doc.items():
        if value is None or name in {"model", "messages"}:
            continue
        if name in supported - ROUTING or name not in known | LEFT_OUT | ROUTING:
            settings[name] = value
        elif name not in LEFT_OUT and value not in NEUTRAL.get(name, ()):
            hint = "Leave it out, or use another upstream."
            raise UntranslatableError(f"{name!r} cannot be honoured here.", hint, param=name)
    return settings


def error_of(document: Mapping[str, Any]) -> Document | None:
    """Return OpenAI's error of a provider's, whatever its shape; None when it says nothing."""
    error = document.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, dict) else document
    texts = (inner.get("message"), inner.get("detail"), inner.get("details"), error)
    message = next((text for text in texts if isinstance(text, str) and text), None)
    if message is None:
        return None
    kind, code = inner.get("type"), inner.get("code", inner.get("error_code"))
    fields = {
        "message": message,
        "type": kind if isinstance(kind, str) else "api_error",
        "param": None,
        "code": code if isinstance(code, str | int) else None,
    }
    return {"error": fields}
