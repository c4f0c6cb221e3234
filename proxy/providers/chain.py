"""Two translations in a row, by way of the hub; made in matrix.py.

A caller who speaks Anthropic's Messages reaches Gemini so: Messages to chat completions, chat
completions to Gemini, and back the same way.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document, StreamTranslator, Translator


class Chain:
    """A Translator of two: `outer` is the caller's side, `inner` the provider's."""

    def __init__(self, outer: Translator, inner: Translator) -> None:
        self._outer = outer
        self._inner = inner

    def request(self, doc: Mapping[str, Any]) -> Document:
        return self._inner.request(self._hub(doc))

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return self._outer.answer(self._inner.answer(document, self._hub(asked)), asked)

    def stream(self, asked: Mapping[str, Any]) -> "ChainedStream":
        inner = self._inner.stream(self._hub(asked))
        return ChainedStream(self._outer.stream(asked), inner)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        hub = self._inner.error(document)
        return None if hub is None else self._outer.error(hub)

    def _hub(self, doc: Mapping[str, Any]) -> Document:
        """The request in the hub's words; usage is always asked for: the outer side needs it."""
        hub = self._outer.request(doc)
        if hub.get("stream"):
            hub["stream_options"] = {**(hub.get("stream_options") or {}), "include_usage": True}
        return hub


class ChainedStream:
    """A StreamTranslator of two."""

    def __init__(self, outer: StreamTranslator, inner: StreamTranslator) -> None:
        self._outer = outer
        self._inner = inner

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The provider's own usage."""
        return self._inner.usage

    @property
    def is_done(self) -> bool:
        return self._inner.is_done and self._outer.is_done

    def feed(self, chunk: bytes) -> bytes:
        hub = self._inner.feed(chunk)
        return self._outer.feed(hub) if hub else b""
