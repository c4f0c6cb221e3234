"""Callers who speak chat completions, upstreams that speak Bedrock's Converse: translation, calls.

Chosen by matrix.py; the parts are in the bedrock_*.py files beside it.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson

from config.errors import ConfigError
from proxy.providers.bedrock_answer import to_chat_error, to_completion
from proxy.providers.bedrock_request import to_converse
from proxy.providers.bedrock_signing import Scope, read_key_pair, signed_headers
from proxy.providers.bedrock_stream import ConverseToChunks
from proxy.providers.prepared_call import PreparedCall
from proxy.providers.translation import Document

EVENT_STREAM = "application/vnd.amazon.eventstream"


def no_time() -> int:
    return 0


def new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"


class ChatToConverse:
    """A Translator.

    `now_s_of` tells the seconds since 1970 for `created`, `new_id_of` an id: Converse sends neither
    in its documents.
    """

    def __init__(
        self, now_s_of: Callable[[], int] = no_time, new_id_of: Callable[[], str] = new_id
    ) -> None:
        self._now_s_of = now_s_of
        self._new_id_of = new_id_of

    def request(self, doc: Mapping[str, Any]) -> Document:
        return to_converse(doc)

    def answer(self, document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
        return to_completion(document, self._head(asked))

    def stream(self, asked: Mapping[str, Any]) -> ConverseToChunks:
        options = asked.get("stream_options")
        has_usage = isinstance(options, dict) and options.get("include_usage") is True
        return ConverseToChunks(self._head(asked), has_usage=has_usage)

    def error(self, document: Mapping[str, Any]) -> Document | None:
        return to_chat_error(document)

    def _head(self, asked: Mapping[str, Any]) -> Document:
        return {
            "id": self._new_id_of(),
            "created": self._now_s_of(),
            "model": str(asked.get("model") or ""),
        }


class ConverseCalls:
    """Addresses and signs the calls to one upstream of kind bedrock."""

    def __init__(self, *, api_key: str, region: str, base_url: str = "") -> None:
        """Raises ConfigError without a region: signatures and the address need it."""
        if not region:
            raise ConfigError(
                "An upstream of kind bedrock has no region.", "Add region: us-east-1 to it."
            )
        self._keys = read_key_pair(api_key)
        self._api_key = api_key
        self._scope = Scope(region)
        self._root = base_url.rstrip("/") or host_url(region)

    def prepare(
        self, model: str, document: Mapping[str, Any], *, is_streaming: bool, now_us: int
    ) -> PreparedCall:
        """Return one attempt's call of Converse or ConverseStream, signed as of `now_us`.

        `model` is a model's id, an inference profile or an ARN.
        """
        verb = "converse-stream" if is_streaming else "converse"
        url = f"{self._root}/model/{quote(model, safe='')}/{verb}"
        body = orjson.dumps(document)
        headers = {
            "Content-Type": "application/json",
            "Accept": EVENT_STREAM if is_streaming else "application/json",
        }
        if self._keys is not None:
            headers = signed_headers(url, headers, body, self._keys, self._scope, now_us)
        elif self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return PreparedCall(url, headers, body)


def host_url(region: str) -> str:
    """Return the public address of Bedrock in a region."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{suffix}"
