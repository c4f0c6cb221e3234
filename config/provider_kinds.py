"""The kinds an upstream can have: ours, and the litellm provider names that operators use.

Read by config.operator; a list in the source, since importing litellm takes seconds. To add one,
write the provider's litellm name here.
"""

MOCK_KIND = "mock"
OPENAI_KIND = "openai"

LITELLM_KINDS: tuple[str, ...] = (
    "ai21",
    "anthropic",
    "azure",
    "azure_ai",
    "baseten",
    "bedrock",
    "cerebras",
    "clarifai",
    "cloudflare",
    "codestral",
    "cohere",
    "cohere_chat",
    "dashscope",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks_ai",
    "friendliai",
    "gemini",
    "github",
    "github_copilot",
    "groq",
    "hosted_vllm",
    "huggingface",
    "hyperbolic",
    "jina_ai",
    "lambda_ai",
    "llamafile",
    "lm_studio",
    "meta_llama",
    "minimax",
    "mistral",
    "moonshot",
    "nebius",
    "nlp_cloud",
    "novita",
    "nscale",
    "nvidia_nim",
    "oci",
    "ollama",
    "ollama_chat",
    "openrouter",
    "ovhcloud",
    "perplexity",
    "predibase",
    "replicate",
    "sagemaker",
    "sagemaker_chat",
    "sambanova",
    "scaleway",
    "snowflake",
    "together_ai",
    "triton",
    "v0",
    "vercel_ai_gateway",
    "vertex_ai",
    "volcengine",
    "voyage",
    "watsonx",
    "xai",
    "xinference",
    "zai",
)

KNOWN_KINDS: tuple[str, ...] = (MOCK_KIND, OPENAI_KIND, *LITELLM_KINDS)

# Kinds without one public address: each account or server has its own.
NEEDS_BASE_URL: tuple[str, ...] = (
    "azure",
    "cloudflare",
    "hosted_vllm",
    "llamafile",
    "lm_studio",
    "ollama",
    "ollama_chat",
    "xinference",
)
BASE_URL_EXAMPLES = {
    "azure": "https://RESOURCE.openai.azure.com",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/ACCOUNT_ID/ai/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "ollama_chat": "http://127.0.0.1:11434/v1",
}
# Kinds whose address and signatures name a region.
NEEDS_REGION: tuple[str, ...] = ("bedrock",)
