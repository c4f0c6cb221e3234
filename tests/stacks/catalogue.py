"""The client stacks that are tried, one script each, and what each script must show.

Run by tests/e2e/test_stacks.py; docs/clients.md has its table from here (tests/docs_tables.py).
"""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAMILIES = ("gpt", "claude", "gemini")
# Column of the table -> the capabilities that make it up.
COLUMNS = {
    "chat": ("chat", "messages"),
    "stream": ("stream", "responses stream"),
    "tools": ("tools", "streamed tools", "responses tools"),
    "JSON schema": ("structured", "responses structured"),
    "embeddings": ("embeddings",),
    "Responses": ("responses",),
    "files": ("files",),
    "batches": ("batches",),
    "images, audio": ("images", "audio"),
    "errors": ("errors",),
}


@dataclass(frozen=True, slots=True)
class Stack:
    """One script. `own` is the family of the models that its lines name no family for.

    `environment` is a lock beside it (NAME.txt), a folder with a package-lock.json, or "" where
    the main environment has the packages. `extra` are capabilities without a family. `untold` is
    how many of its calls get an answer that tells no usage: speech, when it comes as plain bytes.
    """

    name: str
    script: str
    uses: tuple[str, ...]
    own: str = "gpt"
    others: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    environment: str = ""
    is_long: bool = False
    untold: int = 0

    @property
    def path(self) -> Path:
        return HERE / self.script

    @property
    def lines(self) -> set[str]:
        """What the script prints when all is well, a line a capability."""
        families = ("", *(f"{family} " for family in self.others))
        shown = {f"{family}{use}" for family in families for use in self.uses} | {*self.extra}
        return {f"{capability} ok" for capability in shown}

    @property
    def row(self) -> str:
        """Its line of the table."""
        known = {*self.uses, *self.extra}
        cells = ["yes" if known.intersection(parts) else "" for parts in COLUMNS.values()]
        models = ", ".join(each for each in FAMILIES if each in {self.own, *self.others})
        link = f"[{self.name}](../tests/stacks/{self.script})"
        return "| " + " | ".join((link, *cells, models)) + " |"


_CHAT = ("chat", "stream", "tools", "streamed tools", "structured")
_RESPONSES = ("responses", "responses stream", "responses tools", "responses structured")
_RESOURCES = ("files", "batches", "images", "audio", "moderations")
_OPENAI = (
    ("openai_chat.py", _CHAT, ("claude", "gemini"), ("embeddings", "models", "errors"), 0),
    ("openai_responses.py", _RESPONSES, ("claude", "gemini"), ("chained responses",), 0),
    ("openai_resources.py", _RESOURCES, (), (), 2),
)

STACKS = (
    *(
        Stack(
            f"openai-python {version}",
            script,
            uses,
            "gpt",
            others,
            extra,
            environment,
            untold=untold,
        )
        for version, environment in ((3, ""), (2, "openai2"))
        for script, uses, others, extra, untold in _OPENAI
    ),
    Stack(
        "anthropic",
        "anthropic_messages.py",
        _CHAT,
        own="claude",
        others=("gpt", "gemini"),
        extra=("thinking", "prompt caching", "count tokens", "models", "errors"),
    ),
    Stack(
        "google-genai",
        "google_gemini.py",
        ("chat", "stream", "tools", "structured"),
        own="gemini",
        extra=("embeddings", "count tokens", "models", "errors"),
    ),
    Stack(
        "LangChain, langchain-openai",
        "langchain_chat.py",
        ("chat", "stream", "tools", "structured"),
        others=("claude", "gemini"),
        extra=("responses", "embeddings", "errors"),
    ),
    Stack(
        "LangChain, langchain-anthropic",
        "langchain_claude.py",
        ("chat", "stream", "tools", "structured"),
        own="claude",
        others=("gpt",),
        extra=("errors",),
        environment="langchain-anthropic",
    ),
    Stack(
        "LlamaIndex",
        "llamaindex_chat.py",
        ("chat", "stream", "tools", "structured"),
        extra=("embeddings", "errors"),
        environment="llamaindex",
        is_long=True,
    ),
    Stack(
        "instructor",
        "instructor_extraction.py",
        ("structured", "stream"),
        others=("claude", "gemini"),
        extra=("messages", "errors"),
        environment="instructor",
    ),
    Stack(
        "openai-node",
        "openai_node/openai_node.mjs",
        _CHAT,
        others=("claude", "gemini"),
        extra=("responses", "embeddings", "files", "images", "audio", "errors"),
        environment="openai_node",
        untold=1,
    ),
    Stack(
        "Vercel AI SDK, @ai-sdk/openai-compatible",
        "vercel_ai/vercel_ai.mjs",
        ("chat", "stream", "tools", "structured"),
        others=("claude", "gemini"),
        extra=("embeddings", "errors"),
        environment="vercel_ai",
        is_long=True,
    ),
    Stack(
        "curl",
        "curl.sh",
        ("chat", "stream", "tools"),
        others=("claude", "gemini"),
        extra=("embeddings", "messages", "gemini", "files", "errors"),
    ),
)


def stack_table() -> str:
    """The table of docs/clients.md: who does what, and at whose models."""
    lines = [
        "| client | " + " | ".join(COLUMNS) + " | models of |",
        "|---" * (len(COLUMNS) + 2) + "|",
        *(stack.row for stack in STACKS),
    ]
    return "\n".join(lines) + "\n"
