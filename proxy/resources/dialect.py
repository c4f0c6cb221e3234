"""What events and metrics call a route that is no dialect. Called by relay.py, first of all.

The names are a closed list: a path is the caller's text, and metrics keep every name they see.
"""

from proxy.dialects.dialect import AnswerFacts, Dialect
from proxy.dialects.reading import Asked

NAMES = (
    "files", "uploads", "chat", "batches", "vector_stores", "images", "audio", "moderations",
    "responses", "conversations", "containers", "fine_tuning", "assistants", "threads", "evals",
    "videos", "completions", "realtime", "rerank", "skills",
)  # fmt: skip
OTHER = "other"


def _named(name: str) -> Dialect:
    return Dialect(
        endpoint=name, read_request=lambda _: Asked(), read_answer=lambda _: AnswerFacts()
    )


DIALECTS = {name: _named(name) for name in (*NAMES, OTHER)}


def resource_dialect(raw_path: str) -> Dialect:
    """Return the stand-in for a dialect that a path's events are recorded under."""
    collection = raw_path.partition("/")[0]
    return DIALECTS.get(collection, DIALECTS[OTHER])
