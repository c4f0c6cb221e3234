"""Which answers may be kept: only whole ones that ended of themselves, by dialect (pure).

Called by the proxy before an answer is stored or shared. Each rule says "" or a word why not.
"""

from collections.abc import Mapping
from typing import Any

# Tuples: what is looked up comes from outside and may be anything, unhashable values included.
_WHOLE_ANSWERS = ("stop", "tool_calls", "function_call")
_FORCED_ENDS = ("length", "content_filter")
_WHOLE_MESSAGES = ("end_turn", "stop_sequence", "tool_use")
# Items that stand for themselves; others point at something the provider keeps.
_OWN_ITEMS = ("message", "reasoning", "function_call", "custom_tool_call")


def is_cacheable_answer(endpoint: str, document: Mapping[str, Any]) -> bool:
    """Whether a whole document of this endpoint may be kept and given to others of its scope.

    A stream's twin is asked about: for responses its last `response` object.
    """
    match endpoint:
        case "responses":
            return why_no_response(document) == ""
        case "messages":
            return why_no_message(document) == ""
        case "gemini":
            return why_no_candidates(document) == ""
        case _:
            return is_cacheable_completion(document) == ""


def is_cacheable_completion(doc: Mapping[str, Any]) -> str:
    """ "" when an answer may be kept, else the reason: only whole, unforced endings are kept."""
    if doc.get("error"):
        return "error"
    if (
        "data" in doc and "choices" not in doc
    ):  # embeddings have no finish reason: they are whole or an error
        return "" if isinstance(doc["data"], list) and doc["data"] else "empty"
    choices = doc.get("choices")
    if not isinstance(choices, list) or not choices:
        return "empty"
    for choice in choices:
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if reason not in _WHOLE_ANSWERS:
            return reason if reason in _FORCED_ENDS else "unfinished"
    return ""


def why_no_response(doc: Mapping[str, Any]) -> str:
    """ "" when a Response may be kept: completed, not stored at the provider, all items whole."""
    if doc.get("error"):
        return "error"
    if doc.get("status") != "completed" or doc.get("incomplete_details"):
        return "unfinished"
    if doc.get("store") is not False or doc.get("background") or doc.get("conversation"):
        return "provider_stores"
    output = doc.get("output")
    if not isinstance(output, list) or not output:
        return "empty"
    return "" if all(_is_whole_item(item) for item in output) else "unfinished"


def _is_whole_item(item: object) -> bool:
    if not isinstance(item, dict) or item.get("type") not in _OWN_ITEMS:
        return False
    return item.get("status") in (None, "completed")


def why_no_message(doc: Mapping[str, Any]) -> str:
    """ "" when an Anthropic message may be kept: it ended its turn and says something."""
    if doc.get("type") != "message":
        return "error"
    if doc.get("stop_reason") not in _WHOLE_MESSAGES:
        return "unfinished"
    if doc.get("container"):
        return "provider_stores"
    content = doc.get("content")
    return "" if isinstance(content, list) and content else "empty"


def why_no_candidates(doc: Mapping[str, Any]) -> str:
    """ "" when a Gemini answer may be kept: every candidate stopped of itself, none was blocked."""
    feedback = doc.get("promptFeedback")
    if doc.get("error") or (isinstance(feedback, Mapping) and feedback.get("blockReason")):
        return "error"
    candidates = doc.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        return "empty"
    ends = [each.get("finishReason") if isinstance(each, dict) else None for each in candidates]
    return "" if all(end == "STOP" for end in ends) else "unfinished"
