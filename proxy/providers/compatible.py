"""Which kinds of upstream speak OpenAI's dialect themselves, where, and how far; read by matrix.py.

Their bytes are relayed as those of kind openai. Facts are from the providers' public pages; where a
page is silent about `stream_options.include_usage` we do not send it: most of these send usage
with the last chunk unasked, and one that refuses the field would refuse the request.
"""

from dataclasses import dataclass
from typing import Literal

from config.provider_kinds import MOCK_KIND, OPENAI_KIND

Dialect = Literal["relay", "azure", "anthropic", "gemini", "bedrock", "litellm"]

CHAT = frozenset({"chat"})
EMBEDDINGS = frozenset({"embeddings"})
CHAT_AND_TEXT = CHAT | {"completions"}
CHAT_AND_VECTORS = CHAT | EMBEDDINGS
CHAT_AND_RESPONSES = CHAT | {"responses"}
CLASSIC = CHAT_AND_TEXT | EMBEDDINGS
ALL = CLASSIC | {"responses"}


@dataclass(frozen=True, slots=True)
class Compatible:
    """One kind. `base_url` is "" where every account or server has its own: apex.yaml must say it.

    `endpoints` are the inbound ones it serves: chat, completions, embeddings, responses.
    """

    base_url: str
    endpoints: frozenset[str] = CHAT
    accepts_include_usage: bool = False


COMPATIBLE: dict[str, Compatible] = {
    MOCK_KIND: Compatible("", ALL, accepts_include_usage=True),
    OPENAI_KIND: Compatible("https://api.openai.com/v1", ALL, accepts_include_usage=True),
    "baseten": Compatible("https://inference.baseten.co/v1", accepts_include_usage=True),
    "cerebras": Compatible("https://api.cerebras.ai/v1", CHAT_AND_TEXT),
    "clarifai": Compatible("https://api.clarifai.com/v2/ext/openai/v1"),
    "cloudflare": Compatible("", CHAT_AND_VECTORS),
    "codestral": Compatible("https://codestral.mistral.ai/v1"),
    "dashscope": Compatible(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        CHAT_AND_VECTORS,
        accepts_include_usage=True,
    ),
    "deepinfra": Compatible(
        "https://api.deepinfra.com/v1/openai", CLASSIC, accepts_include_usage=True
    ),
    "deepseek": Compatible("https://api.deepseek.com/v1", accepts_include_usage=True),
    "fireworks_ai": Compatible(
        "https://api.fireworks.ai/inference/v1", ALL, accepts_include_usage=True
    ),
    "friendliai": Compatible(
        "https://api.friendli.ai/serverless/v1", CHAT_AND_TEXT, accepts_include_usage=True
    ),
    "github": Compatible(
        "https://models.github.ai/inference", CHAT_AND_VECTORS, accepts_include_usage=True
    ),
    "groq": Compatible(
        "https://api.groq.com/openai/v1", CHAT_AND_RESPONSES, accepts_include_usage=True
    ),
    "hosted_vllm": Compatible("", CLASSIC, accepts_include_usage=True),
    "huggingface": Compatible("https://router.huggingface.co/v1"),
    "hyperbolic": Compatible("https://api.hyperbolic.xyz/v1", CHAT_AND_TEXT),
    "jina_ai": Compatible("https://api.jina.ai/v1", EMBEDDINGS),
    "lambda_ai": Compatible("https://api.lambda.ai/v1", CHAT_AND_TEXT),
    "llamafile": Compatible("", CLASSIC),
    "lm_studio": Compatible("", CLASSIC, accepts_include_usage=True),
    "meta_llama": Compatible("https://api.llama.com/compat/v1"),
    "minimax": Compatible("https://api.minimax.io/v1", accepts_include_usage=True),
    "mistral": Compatible("https://api.mistral.ai/v1", CHAT_AND_VECTORS),
    "moonshot": Compatible("https://api.moonshot.ai/v1", accepts_include_usage=True),
    "nebius": Compatible("https://api.studio.nebius.ai/v1", CLASSIC),
    "novita": Compatible("https://api.novita.ai/v3/openai", CLASSIC, accepts_include_usage=True),
    "nscale": Compatible("https://inference.api.nscale.com/v1"),
    "nvidia_nim": Compatible("https://integrate.api.nvidia.com/v1", CHAT_AND_VECTORS),
    "ollama": Compatible("", CLASSIC, accepts_include_usage=True),
    "ollama_chat": Compatible("", CLASSIC, accepts_include_usage=True),
    "openrouter": Compatible(
        "https://openrouter.ai/api/v1", CHAT_AND_TEXT, accepts_include_usage=True
    ),
    "ovhcloud": Compatible(
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", CHAT_AND_VECTORS
    ),
    "perplexity": Compatible("https://api.perplexity.ai"),
    "sambanova": Compatible(
        "https://api.sambanova.ai/v1", CHAT_AND_VECTORS, accepts_include_usage=True
    ),
    "scaleway": Compatible("https://api.scaleway.ai/v1", CHAT_AND_VECTORS),
    "together_ai": Compatible("https://api.together.xyz/v1", CLASSIC),
    "v0": Compatible("https://api.v0.dev/v1"),
    "vercel_ai_gateway": Compatible("https://ai-gateway.vercel.sh/v1", CHAT_AND_VECTORS),
    "volcengine": Compatible(
        "https://ark.cn-beijing.volces.com/api/v3", CHAT_AND_VECTORS, accepts_include_usage=True
    ),
    "voyage": Compatible("https://api.voyageai.com/v1", EMBEDDINGS),
    "xai": Compatible("https://api.x.ai/v1", CHAT_AND_RESPONSES, accepts_include_usage=True),
    "xinference": Compatible("", CLASSIC),
    "zai": Compatible("https://api.z.ai/api/paas/v4"),
}  # fmt: skip

# What to write as base_url of the kinds that have none of their own.
BASE_URL_EXAMPLES = {
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/ACCOUNT_ID/ai/v1",
    "hosted_vllm": "http://HOST:8000/v1",
    "llamafile": "http://HOST:8080/v1",
    "lm_studio": "http://HOST:1234/v1",
    "mock": "http://127.0.0.1:PORT/v1",
    "ollama": "http://HOST:11434/v1",
    "ollama_chat": "http://HOST:11434/v1",
    "xinference": "http://HOST:9997/v1",
}

_OWN_DIALECTS: dict[str, Dialect] = {
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
}


def kind_of(kind: str) -> Dialect:
    """Return how an upstream of this kind is spoken to: relayed, in a dialect, or by litellm."""
    if kind in COMPATIBLE:
        return "relay"
    return _OWN_DIALECTS.get(kind, "litellm")
