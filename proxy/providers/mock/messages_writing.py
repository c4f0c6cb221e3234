"""Writes an answer as Anthropic's message or as its stream of events: pure. Called by messages.py.

Thoughts come first, then text or tool calls, each in a block of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from proxy.providers.mock.completions import Choice, Wishes, compose
from proxy.providers.mock.messages_cache import CacheUse
from proxy.providers.mock.messages_prompt import MessagesRequest
from proxy.providers.mock.rendering import Event, Usage
from proxy.providers.mock.text import count_tokens, digest_of, draw, make_tokens, split_tokens

Document = dict[str, Any]
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
LEAST_THINKING_TOKENS = 32
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


@dataclass(frozen=True, slots=True)
class MessagesAnswer:
    """One answer: its blocks as they are sent whole, and why it ended."""

    blocks: tuple[Document, ...]
    stop_reason: str
    stop_sequence: str | None
    thinking_tokens: int
    visible_tokens: int


def answer_to(request: MessagesRequest, wishes: Wishes) -> MessagesAnswer:
    """Compose the answer; thoughts count against the limit."""
    chat, blocks, thinking_tokens = request.chat, [], 0
    limit = chat.limit_tokens or 0
    if request.is_thinking:
        wanted = LEAST_THINKING_TOKENS + draw(chat.seed, "thinking", 64)
        thinking_tokens = min(wanted, request.budget_tokens or wanted, limit)
        seed = digest_of(chat.seed, b"thoughts")
        thoughts = make_tokens(seed, thinking_tokens)
        blocks.append({"type": "thinking", "thinking": thoughts, "signature": seed.hex()})
    chat = replace(chat, limit_tokens=limit - thinking_tokens)
    choice = compose(chat, wishes).choices[0]
    stop = _stop_sequence(request, choice, wishes)
    blocks += _blocks_of(choice)
    is_refusal = choice.refusal is not None and choice.finish_reason == "stop"
    reason = "refusal" if is_refusal else STOP_REASONS[choice.finish_reason]
    return MessagesAnswer(
        tuple(blocks),
        "stop_sequence" if stop else reason,
        stop,
        thinking_tokens,
        choice.count_tokens(),
    )


def _stop_sequence(request: MessagesRequest, choice: Choice, wishes: Wishes) -> str | None:
    """Name the sequence that cut the text short."""
    if not request.chat.stops or choice.content is None or choice.finish_reason != "stop":
        return None
    whole = compose(replace(request.chat, stops=(), limit_tokens=None), wishes).choices[0].content
    rest = (whole or "")[len(choice.content) :]
    return next((stop for stop in request.chat.stops if rest.startswith(stop)), None)


def _blocks_of(choice: Choice) -> list[Document]:
    text = choice.content or choice.refusal
    blocks: list[Document] = [{"type": "text", "text": text}] if text else []
    for call in choice.calls:
        call_id = "toolu_" + call.id.removeprefix("call_")
        block = {"type": "tool_use", "id": call_id, "name": call.name}
        blocks.append({**block, "input": call.arguments})
    return blocks


def usage_document(usage: Usage, cache: CacheUse) -> Document:
    """Say the usage; input_tokens leaves out what the cache gave and took."""
    return {
        "input_tokens": usage.prompt_tokens - cache.read_tokens - cache.write_tokens,
        "cache_creation_input_tokens": cache.write_tokens,
        "cache_read_input_tokens": cache.read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache.write_5m_tokens,
            "ephemeral_1h_input_tokens": cache.write_1h_tokens,
        },
        "output_tokens": usage.output_tokens + usage.reasoning_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }


def envelope(request: MessagesRequest) -> Document:
    """Make the message without its content; the id is a digest of the whole request."""
    identity = digest_of(orjson.dumps(request.document, option=orjson.OPT_SORT_KEYS))
    return {
        "id": f"msg_{identity.hex()[:24]}",
        "type": "message",
        "role": "assistant",
        "model": request.chat.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def message_document(
    request: MessagesRequest, answer: MessagesAnswer, usage: Document | None
) -> Document:
    document = {
        **envelope(request),
        "content": [_whole(block) for block in answer.blocks],
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
    }
    return document if usage is None else {**document, "usage": usage}


def _whole(block: Document) -> Document:
    """Parse a call's arguments; those a limit cut short are given as no arguments."""
    if block["type"] != "tool_use":
        return block
    try:
        return {**block, "input": orjson.loads(block["input"])}
    except orjson.JSONDecodeError:
        return {**block, "input": {}}


def event_of(document: Document) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (document["type"].encode(), orjson.dumps(document))


def events_of(answer: MessagesAnswer) -> Iterator[Event]:
    """Yield the events of the content, one token each."""
    for index, block in enumerate(answer.blocks):
        opening, pieces = _pieces(block)
        start = {"type": "content_block_start", "index": index, "content_block": opening}
        name_tokens = count_tokens(block["name"]) if block["type"] == "tool_use" else 0
        yield Event(event_of(start), name_tokens)
        if index == 0:
            yield Event(PING, 0)
        for delta in pieces:
            document = {"type": "content_block_delta", "index": index, "delta": delta}
            yield Event(event_of(document), 0 if "signature" in delta else 1)
        yield Event(event_of({"type": "content_block_stop", "index": index}), 0)


def _pieces(block: Document) -> tuple[Document, list[Document]]:
    """Return a block as it begins, and its deltas."""
    match block["type"]:
        case "thinking":
            texts = split_tokens(block["thinking"])
            deltas = [{"type": "thinking_delta", "thinking": text} for text in texts]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "tool_use":
            texts = split_tokens(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in texts]
            return {**block, "input": {}}, deltas
        case _:
            texts = split_tokens(block["text"])
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in texts]
