"""Which providers the book covers, and what each source calls them; used by config.prices.build."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BookProvider:
    """A provider under the name operators write as an upstream's kind.

    `litellm` are name prefixes of the source's own providers; `genai` is the other source's id.
    `is_regional`: names with a path are regional editions, which need a band of their own.
    `genai_only`: models the second source alone lists are taken when they start with one of these.
    """

    name: str
    litellm: tuple[str, ...]
    genai: str
    is_regional: bool = False
    genai_only: tuple[str, ...] = ("",)


BOOK_PROVIDERS = (
    BookProvider("openai", ("openai",), "openai", is_regional=True),
    BookProvider("anthropic", ("anthropic",), "anthropic"),
    BookProvider("gemini", ("gemini",), "google", genai_only=("deep-research", "gem")),
    BookProvider("azure", ("azure",), "azure", is_regional=True),
    BookProvider("azure_ai", ("azure_ai",), "azure", genai_only=()),
    BookProvider("bedrock", ("bedrock", "bedrock_converse"), "aws", is_regional=True),
    BookProvider("cerebras", ("cerebras",), "cerebras"),
    BookProvider("cohere", ("cohere", "cohere_chat"), "cohere"),
    BookProvider("deepseek", ("deepseek",), "deepseek"),
    BookProvider("fireworks_ai", ("fireworks_ai", "fireworks_ai-embedding-models"), "fireworks"),
    BookProvider("groq", ("groq",), "groq"),
    BookProvider("minimax", ("minimax",), "minimax"),
    BookProvider("mistral", ("mistral",), "mistral"),
    BookProvider("moonshot", ("moonshot",), "moonshotai"),
    BookProvider("perplexity", ("perplexity",), "perplexity"),
    BookProvider("together_ai", ("together_ai",), "together"),
    BookProvider(
        "vertex_ai",
        (
            "vertex_ai",
            "vertex_ai-anthropic_models",
            "vertex_ai-embedding-models",
            "vertex_ai-language-models",
            "vertex_ai-mistral_models",
        ),
        "google",
        is_regional=True,
        genai_only=("claude",),
    ),
    BookProvider("voyage", ("voyage",), "voyageai"),
    BookProvider("xai", ("xai",), "x-ai"),
    BookProvider("zai", ("zai",), "zai"),
)
