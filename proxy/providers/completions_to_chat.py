"""Legacy /v1/completions over an upstream that only speaks chat; chosen by matrix.py.

One prompt becomes one user message. What a chat model cannot do with a prompt (continue it word
by word, echo it, score it) is refused, not imitated.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.chat_source import ChatSource, error_of_chat, text_of
from proxy.providers.translation import Document, UntranslatableError

LEGACY_MOST_TOKENS = 16  # what the legacy API takes when max_tokens is left out
_HINT = "Use an upstream that serves /v1/completions, or call /v1/chat/completions."
_ONCE = ("id", "created", "model", "system_fingerprint", "service_tier")
# Fields that ask for what only a completion can give; these values ask for nothing.
_REFUSED: dict[str, tuple[object, ...]] = {
    "suffix": (None, ""),
    "echo": (None, False),
    "best_of": (None, 1),
    "logprobs": (None,),
    "tools": (None,),
    "messages": (None,),
}


class CompletionsToChat:
    """Requests go from legacy completions to chat; answers and streams come back."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        """Return the chat request; raises UntranslatableError."""
        for name, harmless in _REFUSED.items():
            if doc.get(name) not in harmless:
                raise UntranslatableError(
                    f"The field {name} has no meaning for a chat model.", _HINT, param=name
                )
        chat = {k: v for k, v in doc.items() if k not in _REFUSED and k != "prompt"}
        chat["messages"] = [{"role": "user", "content": _prompt_of(doc)}]
        if chat.get("max_tokens") is None:
            chat["max_tokens"] = LEGACY_MOST_TOKENS
        return chat

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:  # noqa: ARG002
        """Return the text_completion of a chat completion; ValueError when it is none."""
        choices = document.get("choices")
        if not isinstance(choices, list) or not choices:
            raise ValueError("a chat completion has choices")
        legacy = _envelope(document)
        legacy["choices"] = [_choice(each, place) for place, each in enumerate(choices)]
        if document.get("usage") is not None:
            legacy["usage"] = document["usage"]
        return legacy

    def stream(self, asked: Mapping[str, Any]) -> "CompletionsStream":
        """Return a fresh filter from a chat stream to a legacy one."""
        options = asked.get("stream_options")
        wants_usage = isinstance(options, Mapping) and options.get("include_usage") is True
        return CompletionsStream(wants_usage=wants_usage)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        """Return the error document: both dialects have the same."""
        return error_of_chat(document)


def _prompt_of(doc: Mapping[str, Any]) -> str:
    prompt = doc.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return prompt
    what = "one prompt as text" if prompt else "a prompt"
    raise UntranslatableError(f"A chat model needs {what}.", _HINT, param="prompt")


def _envelope(document: Mapping[str, Any]) -> Document:
    head = {name: document[name] for name in _ONCE if name in document}
    name = head.get("id")
    if isinstance(name, str):
        head["id"] = f"cmpl-{name.removeprefix('chatcmpl-')}"
    return {**head, "object": "text_completion"}


def _choice(choice: object, place: int) -> Document:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ValueError("a choice has a message")
    return {
        "text": _text_in(message),
        "index": choice.get("index", place),
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }


def _text_in(message: Mapping[str, Any]) -> str:
    return text_of(message.get("content")) or text_of(message.get("refusal"))


class CompletionsStream:
    """One chat stream on its way to a legacy caller."""

    def __init__(self, *, wants_usage: bool) -> None:
        self._source = ChatSource()
        self._wants_usage = wants_usage
        self._is_over = False

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """Usage as the chat stream told it; None before any."""
        return self._source.usage

    @property
    def is_done(self) -> bool:
        """Whether the end marker was seen."""
        return self._source.is_done

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of the chat stream; return whole legacy events."""
        out = [self._event(doc) for doc in self._source.feed(chunk)]
        if not self._is_over and self._source.error is not None:
            out.append(_framed({"error": self._source.error}))
        elif not self._is_over and self._source.is_done:
            out.append(b"data: [DONE]\n\n")
        self._is_over = self._source.is_done or self._source.error is not None
        return b"".join(out)

    def _event(self, doc: Document) -> bytes:
        given = doc.get("choices")
        choices = given if isinstance(given, list) else []
        texts = [text for each in choices if (text := _delta(each)) is not None]
        usage = doc.get("usage") if self._wants_usage else None
        if not texts and not usage:
            return b""  # the role, or what only chat has
        chunk = {**_envelope(doc), "choices": texts}
        return _framed({**chunk, "usage": usage} if self._wants_usage else chunk)


def _delta(choice: object) -> Document | None:
    if not isinstance(choice, dict):
        return None
    delta = choice.get("delta")
    text = _text_in(delta) if isinstance(delta, dict) else ""
    ending = choice.get("finish_reason")
    if not text and not ending:
        return None
    index = choice.get("index", 0)
    return {"text": text, "index": index, "logprobs": None, "finish_reason": ending}


def _framed(document: Document) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(document)
