"""A Responses request in chat's words; called by responses_to_chat.py.

Nothing is kept between calls here: whatever names something kept is refused. Fields that both
dialects call the same, unknown ones too, pass as they are.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.responses_items import messages_of
from proxy.providers.responses_refusing import malformed, refusal
from proxy.providers.responses_tools import response_format_of, tool_choice_of, tools_of
from proxy.providers.translation import Document

_LOGPROBS = "message.output_text.logprobs"
# What each would need at the upstream, for the refusal.
_STATEFUL = {
    "previous_response_id": "continues a response kept at the provider",
    "conversation": "names a conversation kept at the provider",
    "background": "asks for an answer to be fetched later",
    "prompt": "names a prompt kept at the provider",
    "context_management": "asks the provider to compact the conversation",
    "store": "asks the provider to keep the answer",
}
# Translated on their own, or without meaning for one chat call: metadata belongs to what is
# stored, truncation to what is too long, max_tool_calls and include to the provider's own tools.
_APART = frozenset({
    *_STATEFUL, "input", "instructions", "tools", "tool_choice", "text", "reasoning",
    "max_output_tokens", "stream_options", "include", "metadata", "truncation", "max_tool_calls",
    "background_options",
})  # fmt: skip


def chat_request(doc: Mapping[str, Any]) -> Document:
    """Return the chat request that asks for the same answer; raises UntranslatableError."""
    _refuse_state(doc)
    chat = {name: value for name, value in doc.items() if name not in _APART}
    chat["messages"] = _messages(doc)
    if doc.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = doc["max_output_tokens"]
    if doc.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}
    _add_tools(chat, doc)
    _add_text(chat, _object(doc, "text"))
    effort = _object(doc, "reasoning").get("effort")
    if effort is not None:
        chat["reasoning_effort"] = effort
    _add_logprobs(chat, doc)
    return chat


def _refuse_state(doc: Mapping[str, Any]) -> None:
    for name, what in _STATEFUL.items():
        if doc.get(name) not in (None, False):
            raise refusal(f"The field {name} {what}.", name)


def _messages(doc: Mapping[str, Any]) -> list[Document]:
    instructions = doc.get("instructions")
    if instructions is None:
        return messages_of(doc.get("input"))
    if not isinstance(instructions, str):
        raise malformed("instructions", "a text")
    return [{"role": "system", "content": instructions}, *messages_of(doc.get("input"))]


def _add_tools(chat: Document, doc: Mapping[str, Any]) -> None:
    tools = tools_of(doc.get("tools"))
    if not tools:  # chat refuses parameters of tools where there are none
        chat.pop("parallel_tool_calls", None)
        return
    chat["tools"] = tools
    if doc.get("tool_choice") is not None:
        chat["tool_choice"] = tool_choice_of(doc["tool_choice"])


def _add_text(chat: Document, text: Mapping[str, Any]) -> None:
    wanted = response_format_of(text)
    if wanted is not None:
        chat["response_format"] = wanted
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]


def _add_logprobs(chat: Document, doc: Mapping[str, Any]) -> None:
    include = doc.get("include")
    is_asked = isinstance(include, list) and _LOGPROBS in include
    if not chat.get("top_logprobs"):
        chat.pop("top_logprobs", None)
    if is_asked or "top_logprobs" in chat:
        chat["logprobs"] = True


def _object(doc: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = doc.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise malformed(name, "an object")
    return value
