"""Where each kind of upstream lives when nothing else is said: what a credential is bound to.

Read by the admin API. "" stands for a kind whose servers have addresses of their own; kinds that
are missing are called through a library, which knows their address.
"""

from urllib.parse import urlsplit

from config.provider_kinds import MOCK_KIND

SPOKEN_HOSTS: dict[str, str] = {
    "anthropic": "api.anthropic.com",
    "azure": "",
    "baseten": "inference.baseten.co",
    "bedrock": "",
    "cerebras": "api.cerebras.ai",
    "clarifai": "api.clarifai.com",
    "cloudflare": "",
    "codestral": "codestral.mistral.ai",
    "dashscope": "dashscope-intl.aliyuncs.com",
    "deepinfra": "api.deepinfra.com",
    "deepseek": "api.deepseek.com",
    "fireworks_ai": "api.fireworks.ai",
    "friendliai": "api.friendli.ai",
    "gemini": "generativelanguage.googleapis.com",
    "github": "models.github.ai",
    "groq": "api.groq.com",
    "hosted_vllm": "",
    "huggingface": "router.huggingface.co",
    "hyperbolic": "api.hyperbolic.xyz",
    "jina_ai": "api.jina.ai",
    "lambda_ai": "api.lambda.ai",
    "llamafile": "",
    "lm_studio": "",
    "meta_llama": "api.llama.com",
    "minimax": "api.minimax.io",
    "mistral": "api.mistral.ai",
    "moonshot": "api.moonshot.ai",
    "nebius": "api.studio.nebius.ai",
    "novita": "api.novita.ai",
    "nscale": "inference.api.nscale.com",
    "nvidia_nim": "integrate.api.nvidia.com",
    "ollama": "",
    "ollama_chat": "",
    "openai": "api.openai.com",
    "openrouter": "openrouter.ai",
    "ovhcloud": "oai.endpoints.kepler.ai.cloud.ovh.net",
    "perplexity": "api.perplexity.ai",
    "sambanova": "api.sambanova.ai",
    "scaleway": "api.scaleway.ai",
    "together_ai": "api.together.xyz",
    "v0": "api.v0.dev",
    "vercel_ai_gateway": "ai-gateway.vercel.sh",
    "volcengine": "ark.cn-beijing.volces.com",
    "voyage": "api.voyageai.com",
    "xai": "api.x.ai",
    "xinference": "",
    "zai": "api.z.ai",
}


def needs_host(kind: str) -> bool:
    """Whether a credential of this kind has to say which host it is for."""
    return SPOKEN_HOSTS.get(kind) == ""


def default_host(kind: str) -> str:
    """The public host of a kind; "" when it has none, or a library knows it."""
    return SPOKEN_HOSTS.get(kind, "")


def host_of(kind: str, base_url: str | None, region: str | None) -> str:
    """The host, with its port if it is not the usual one, that an upstream's calls go to.

    "" for the mock, and for kinds that a library calls at an address it knows.
    """
    if kind == MOCK_KIND:
        return ""
    if base_url:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        usual = {"http": 80, "https": 443}[parts.scheme]
        return host if parts.port in (None, usual) else f"{host}:{parts.port}"
    if kind == "bedrock" and region:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"bedrock-runtime.{region}.{suffix}"
    return default_host(kind)
