"""The names of what a key may be allowed to call: those that usage events and policies know.

Kept beside the keys, since the admin API cannot ask the data plane; a test compares the two.
"""

from collections.abc import Iterable

DIALECTS = (
    "chat", "embeddings", "responses", "input_tokens", "completions", "messages", "count_tokens",
    "gemini", "gemini_count", "gemini_embed", "gemini_batch_embed",
)  # fmt: skip
RESOURCES = (
    "files", "uploads", "batches", "vector_stores", "images", "audio", "moderations",
    "conversations", "containers", "fine_tuning", "assistants", "threads", "evals", "videos",
    "realtime", "rerank", "skills", "other",
)  # fmt: skip
ENDPOINTS = (*DIALECTS, *RESOURCES)


def check_endpoints(names: Iterable[str]) -> None:
    """ValueError that names one nobody knows, and all that there are."""
    for name in names:
        if name not in ENDPOINTS:
            raise ValueError(f"unknown endpoint {name[:64]!r}: there are {', '.join(ENDPOINTS)}")
