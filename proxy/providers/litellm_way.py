"""The way through litellm's door: which translation to use for a model, once the door is open.

Used by calls.py. litellm decides on addresses and headers too, so its request is a whole call; its
answers are translated back like everybody's, through an inner Translator.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from policies.snapshot import Upstream
from proxy.errors import GatewayError
from proxy.providers.chain import Chain
from proxy.providers.litellm_door import ChatViaLitellm, is_loaded
from proxy.providers.prepared_call import PreparedCall
from proxy.providers.translation import Document, StreamTranslator, Translator

MOST_MODELS = 256
LOADING_S = "3"


class Unchanged:
    """A Translator from chat to chat: the outer half of a chain whose caller speaks the hub."""

    def request(self, doc: Mapping[str, Any]) -> Document:
        return dict(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        del asked
        return dict(document)

    def stream(self, asked: Mapping[str, Any]) -> StreamTranslator:
        del asked
        return PassedOn()

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return dict(document)


class PassedOn:
    """A StreamTranslator that changes nothing; it is done when its source is."""

    is_done = True
    usage: Mapping[str, Any] | None = None

    def feed(self, chunk: bytes) -> bytes:
        return chunk


class _Answers:
    """The inner half: answers of one model, read by litellm."""

    def __init__(self, via: ChatViaLitellm) -> None:
        self._via = via

    def request(self, doc: Mapping[str, Any]) -> Document:
        return dict(doc)  # ChatViaLitellm.prepare has made the call of it

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return self._via.answer(orjson.dumps(document), {}, asked)

    def stream(self, asked: Mapping[str, Any]) -> StreamTranslator:
        return self._via.stream(asked)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return self._via.error(document)


class LitellmWay:
    """One upstream's models as litellm speaks to them."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._models: dict[str, ChatViaLitellm] = {}

    def prepare(
        self, outer: Translator, document: Mapping[str, Any], model: str, *, is_streaming: bool
    ) -> tuple[PreparedCall, Translator]:
        """Return the call and the way back.

        Raises UntranslatableError, and GatewayError 503 while litellm is being loaded.
        """
        if not is_loaded():
            raise GatewayError(
                503,
                "translation_loading",
                "The translation for this upstream is still being loaded.",
                "Retry in a few seconds.",
                headers={"Retry-After": LOADING_S},
            )
        via = self._via(model)
        call = via.prepare(outer.request(document), is_streaming=is_streaming)
        return call, Chain(outer, _Answers(via))

    def _via(self, model: str) -> ChatViaLitellm:
        via = self._models.get(model)
        if via is None:
            upstream = self._upstream
            via = ChatViaLitellm(
                upstream.kind, model, api_key=upstream.api_key, base_url=upstream.base_url
            )
            if len(self._models) < MOST_MODELS:
                self._models[model] = via
        return via
