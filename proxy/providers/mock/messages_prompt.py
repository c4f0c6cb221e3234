"""Reads a Messages request of Anthropic's as the real API would. Called by messages.py.

The words of an answer are made by completions.py, so the request is restated for it. Written apart
from the gateway's own translation on purpose: one checks the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.completions import ChatRequest
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.messages_cache import LIFETIMES_S, Mark
from proxy.providers.mock.prompts import TOKENS_PER_IMAGE, TOKENS_PER_MESSAGE, Prompt
from proxy.providers.mock.text import CHARACTERS_PER_TOKEN, count_tokens, digest_of
from proxy.providers.mock.tools import read_functions
from proxy.providers.mock.validation import Field, check_fields, parse_body, read_model

Document = dict[str, Any]
MOST_MARKS = 4
LEAST_BUDGET_TOKENS = 1024
TOKENS_PER_PAGE = 1500  # of a document that is no text
_NUMBER = (int, float)
FIELDS = (
    Field("temperature", _NUMBER, "a number", 0, 1),
    Field("top_p", _NUMBER, "a number", 0, 1),
    Field("top_k", (int,), "an integer", 0),
    Field("stream", (bool,), "a boolean"),
    Field("system", (str, list), "a string or a list of blocks"),
    Field("stop_sequences", (list,), "a list of strings"),
    Field("tools", (list,), "a list"),
    Field("tool_choice", (dict,), "an object"),
    Field("thinking", (dict,), "an object"),
    Field("output_config", (dict,), "an object"),
    Field("metadata", (dict,), "an object"),
)
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# What changes no word of the answer.
NOT_IN_SEED = frozenset({"stream", "max_tokens", "stop_sequences", "metadata", "service_tier"})


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A checked request; `chat` is what its words are made from, `ends` where its blocks end."""

    document: Document
    chat: ChatRequest
    ends: tuple[Mark, ...]
    is_thinking: bool
    budget_tokens: int | None


def read_messages_request(body: bytes, *, has_limit: bool = True) -> MessagesRequest:
    """Check a request; `has_limit` is False where only its tokens are counted."""
    document = parse_body(body)
    model = read_model(document)
    check_fields(document, FIELDS)
    limit = document.get("max_tokens")
    if has_limit and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise MockError("max_tokens: Field required, at least 1")
    thinking = document.get("thinking") or {}
    budget_tokens = _budget(thinking, limit)
    blocks = list(_blocks(document))
    prompt, ends = _measure(document, blocks)
    words = _restated(document, model)
    chat = ChatRequest(
        document=words,
        model=model,
        functions=read_functions(words),
        stops=tuple(s for s in document.get("stop_sequences") or [] if isinstance(s, str) and s),
        prompt=prompt,
        seed=_seed(document),
        is_streaming=document.get("stream") is True,
        wants_usage=True,
        limit_tokens=limit,
    )
    is_thinking = thinking.get("type") in {"enabled", "adaptive"}
    return MessagesRequest(document, chat, ends, is_thinking, budget_tokens)


def _seed(document: Document) -> bytes:
    relevant = {name: value for name, value in document.items() if name not in NOT_IN_SEED}
    return digest_of(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS))


def _budget(thinking: Document, limit: Any) -> int | None:
    if thinking.get("type") != "enabled":
        return None
    budget = thinking.get("budget_tokens")
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < LEAST_BUDGET_TOKENS:
        raise MockError("thinking.enabled.budget_tokens: Input should be at least 1024")
    if isinstance(limit, int) and budget >= limit:
        raise MockError("`max_tokens` must be greater than `thinking.budget_tokens`")
    return budget


def _objects(value: Any, where: str) -> list[Document]:
    """Return a list of objects; a plain string is one block of text."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MockError(f"{where}: Input should be a valid list of objects")
    return value


def _blocks(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield every block in the order in which the cache sees it, with its role."""
    for tool in _objects(document.get("tools") or [], "tools"):
        yield "tools", tool
    for block in _objects(document.get("system") or [], "system"):
        yield "system", block
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MockError("messages: at least one message is required")
    for index, message in enumerate(_objects(messages, "messages")):
        if message.get("role") not in {"user", "assistant"}:
            raise MockError(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        for block in _objects(message.get("content"), f"messages.{index}.content"):
            if block.get("type") == "text" and not block.get("text"):
                raise MockError(f"messages.{index}: text content blocks must be non-empty")
            yield message["role"], block


def _measure(
    document: Document, blocks: list[tuple[str, Document]]
) -> tuple[Prompt, tuple[Mark, ...]]:
    """Count the prompt's tokens, and say where each of its blocks ends."""
    pieces: list[str] = []
    ends: list[Mark] = []
    digest, length = b"", 0
    extra_tokens = TOKENS_PER_MESSAGE * len(document["messages"])
    for at, (role, block) in enumerate(blocks):
        text, more_tokens = _weigh(role, block)
        pieces.append(text)
        length += len(text)
        extra_tokens += more_tokens
        digest = digest_of(digest, text.encode("utf-8", "surrogatepass"))
        control = block.get("cache_control")
        if at == len(blocks) - 1 and not control:
            control = document.get("cache_control")
        ends.append(Mark(length // CHARACTERS_PER_TOKEN, digest, _ttl(control)))
    if sum(1 for end in ends if end.ttl) > MOST_MARKS:
        raise MockError(f"A maximum of {MOST_MARKS} blocks with cache_control may be provided.")
    text = "".join(pieces)
    return Prompt(text, count_tokens(text) + extra_tokens, 0), tuple(ends)


def _ttl(control: Any) -> str:
    if not control:
        return ""
    ttl = control.get("ttl", "5m") if isinstance(control, dict) else None
    if ttl not in LIFETIMES_S or control.get("type") != "ephemeral":
        raise MockError("cache_control: Input should be ephemeral, with ttl '5m' or '1h'")
    return str(ttl)


def _weigh(role: str, block: Document) -> tuple[str, int]:
    """Return a block's text, and the tokens of what is no text."""
    match block.get("type"):
        case "text":
            return f"\n{role}\n{block.get('text', '')}", 0
        case "image":
            # The picture's own text is not tokens, but another picture is another prompt.
            return f"\n{role}\n{digest_of(orjson.dumps(block)).hex()[:8]}", TOKENS_PER_IMAGE
        case "document":
            return f"\n{role}\n{digest_of(orjson.dumps(block)).hex()[:8]}", TOKENS_PER_PAGE
        case _:
            rest = {name: value for name, value in block.items() if name != "cache_control"}
            return f"\n{role}\n{orjson.dumps(rest).decode()}", 0


def _restated(document: Document, model: str) -> Document:
    """Say the request in the words completions.py knows."""
    words: Document = {"model": model, "messages": list(_messages(document))}
    tools = [tool for tool in document.get("tools") or [] if "input_schema" in tool]
    if tools:
        words["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.get("name"), "parameters": tool["input_schema"]},
            }
            for tool in tools
        ]
    choice = document.get("tool_choice") or {}
    if choice.get("type") == "tool":
        words["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice:
        words["tool_choice"] = CHOICES.get(choice.get("type", ""), choice.get("type"))
    if choice.get("disable_parallel_tool_use") is True:
        words["parallel_tool_calls"] = False
    wanted = (document.get("output_config") or {}).get("format")
    if isinstance(wanted, dict):
        holder = {"name": "answer", "schema": wanted.get("schema") or {}}
        words["response_format"] = {"type": "json_schema", "json_schema": holder}
    return words


def _messages(document: Document) -> Iterator[Document]:
    for message in document["messages"]:
        for block in _objects(message["content"], "content"):
            if block.get("type") == "tool_result":
                yield {"role": "tool", "content": str(block.get("content", ""))}
            elif block.get("type") == "text":
                yield {"role": message["role"], "content": str(block.get("text", ""))}
