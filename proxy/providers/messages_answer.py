"""Whole answers: a chat completion to Anthropic's message. Called by messages_translator.py."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.providers.anthropic_usage import messages_usage
from proxy.providers.messages_checks import text_or_empty
from proxy.providers.translation import Document

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
# The name under which Anthropic's guide has clients wrap arguments that are no JSON.
INVALID_JSON = "INVALID_JSON"


def stop_reason_of(finish_reason: object, *, is_refusal: bool = False) -> str | None:
    """Return Anthropic's word; None while there is no reason."""
    if not isinstance(finish_reason, str):
        return None
    if is_refusal and finish_reason == "stop":
        return "refusal"
    return STOP_REASONS.get(finish_reason, "end_turn")


def to_message(completion: Mapping[str, Any]) -> Document:
    """Return the message; ValueError when it is no chat completion."""
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    answer = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(answer, dict):
        raise ValueError("the document is not a chat completion")
    usage = completion.get("usage")
    is_refusal = bool(answer.get("refusal"))
    return {
        "id": text_or_empty(completion.get("id")),
        "type": "message",
        "role": "assistant",
        "model": text_or_empty(completion.get("model")),
        "content": _blocks_of(answer),
        "stop_reason": stop_reason_of(first.get("finish_reason"), is_refusal=is_refusal),
        "stop_sequence": None,
        "usage": messages_usage(
            usage if isinstance(usage, dict) else None, completion.get("service_tier")
        ),
    }


def _blocks_of(answer: Mapping[str, Any]) -> list[Document]:
    blocks = _thoughts(answer)
    content = answer.get("content")
    if isinstance(content, str) and content:
        blocks.append(_text_block(content, answer.get("annotations")))
    if isinstance(answer.get("refusal"), str) and answer["refusal"]:
        blocks.append({"type": "text", "text": answer["refusal"]})
    calls = answer.get("tool_calls")
    return blocks + [_tool_use(call) for call in _objects(calls)]


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _thoughts(answer: Mapping[str, Any]) -> list[Document]:
    signed = [
        {name: value for name, value in block.items() if name != "index"}
        for block in _objects(answer.get("thinking_blocks"))
    ]
    text = thought_text(answer)
    return signed or ([{"type": "thinking", "thinking": text, "signature": ""}] if text else [])


def thought_text(piece: Mapping[str, Any]) -> str:
    """Return the thoughts in a message or a delta, under either name that servers give them."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(piece.get(name), str):
            return str(piece[name])
    return ""


def _text_block(text: str, annotations: object) -> Document:
    block: Document = {"type": "text", "text": text}
    citations = list(citations_of(_objects(annotations), text))
    return {**block, "citations": citations} if citations else block


def citations_of(annotations: Iterable[Mapping[str, Any]], text: str) -> Iterable[Document]:
    """Yield the citations of web pages among OpenAI's annotations of a text."""
    for annotation in annotations:
        cited = annotation.get("url_citation")
        if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
            continue
        start, end = cited.get("start_index"), cited.get("end_index")
        has_place = isinstance(start, int) and isinstance(end, int)
        yield {
            "type": "web_search_result_location",
            "url": cited["url"],
            "title": text_or_empty(cited.get("title")),
            "encrypted_index": "",
            "cited_text": text[start:end] if has_place else "",
        }


def _tool_use(call: Mapping[str, Any]) -> Document:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    return {
        "type": "tool_use",
        "id": text_or_empty(call.get("id")),
        "name": text_or_empty(function.get("name")),
        "input": _input(function.get("arguments")),
    }


def _input(arguments: object) -> Document:
    """Parse what the model wrote; what is no object is handed on in a wrapping, not dropped."""
    if not isinstance(arguments, str) or not arguments.strip():
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {INVALID_JSON: arguments}
    return value if isinstance(value, dict) else {INVALID_JSON: arguments}
