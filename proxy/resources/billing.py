"""Which calls that are no dialect are billed as such, and in which units (pure).

Called by learning.py. Unknown is never zero: a billed answer without usage and units stays unknown.
"""

from collections.abc import Mapping
from typing import Any

from proxy.resources.paths import ResourcePath

# The others keep or show objects, which costs nothing by the call; moderation is free.
BILLED_COLLECTIONS = frozenset({"images", "audio", "rerank", "videos"})
MOST_IMAGES = 100


def is_billed(collection: str) -> bool:
    """Return whether providers charge for such a call as such."""
    return collection in BILLED_COLLECTIONS


def units_of(
    path: ResourcePath, asked: Mapping[str, Any], document: Mapping[str, Any]
) -> dict[str, int]:
    """Return what a call used where it is not told in tokens; {} where that is not known."""
    if path.collection == "images":
        data = document.get("data")
        images = len(data) if isinstance(data, list) else 0
        return {image_unit(asked): min(images, MOST_IMAGES)} if images else {}
    # The models named gpt- speak by the token, and only their event stream tells how many.
    if path.text == "audio/speech" and not str(asked.get("model")).startswith("gpt-"):
        text = asked.get("input")
        return {"characters": len(text)} if isinstance(text, str) and text else {}
    return {}


def image_unit(asked: Mapping[str, Any]) -> str:
    """Return the unit an image is priced by: its size and quality as asked for."""
    parts = (asked.get("size"), asked.get("quality"))
    named = [part for part in parts if isinstance(part, str) and part.isascii() and len(part) < 32]
    return ":".join(["image", *named])
