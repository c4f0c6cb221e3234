"""The one door to litellm: used for the transformation of documents alone, never for transport.

`load` imports it (seconds, 180 MB) on a thread at start, when an upstream's kind needs it; the
matrix makes a ChatViaLitellm per upstream and model. Nothing in here reaches the network.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import orjson

from proxy.providers.litellm_kinds import (
    ANSWER_FIELDS,
    LAST_EVENTS,
    NO_USAGE,
    check_kind,
    error_of,
    split_fields,
)
from proxy.providers.litellm_stream import LinesToChunks
from proxy.providers.prepared_call import PreparedCall
from proxy.providers.translation import Document, UntranslatableError

# The first keeps litellm from fetching its price list, the second from reading a .env file.
ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
# Of an answer's headers: they describe its bytes on the wire, which are unpacked by now.
HOP_FIELDS = frozenset({"content-encoding", "content-length", "transfer-encoding"})
PARAM_HINT = "Leave it out, or use another upstream."
_loading = threading.Lock()
_is_loaded = threading.Event()


class _NoNetwork:
    """Stands where litellm keeps its HTTP client for pictures and tokens: whoever asks is told."""

    def __getattr__(self, name: str) -> NoReturn:
        raise UntranslatableError(
            "The provider's translation would have to fetch something.",
            "Send pictures as base64 data URLs.",
        )


class _Silent:
    """What litellm's transformations want of a logger: that it takes everything."""

    model_call_details: dict[str, Any] = {}  # noqa: RUF012 read by litellm, written by nobody
    optional_params: dict[str, Any] = {}  # noqa: RUF012

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def load() -> None:
    """Import litellm; blocks for seconds the first time, so call it on a thread. Idempotent."""
    with _loading:
        os.environ.update(ENVIRONMENT)
        import litellm

        litellm.suppress_debug_info = True
        litellm.telemetry = False
        litellm.module_level_client = _NoNetwork()
        litellm.module_level_aclient = _NoNetwork()
        _is_loaded.set()


def is_loaded() -> bool:
    """Return whether `load` has run; without waiting for it."""
    return _is_loaded.is_set()


class ChatViaLitellm:
    """Chat completions on one model of one upstream, in the words of its provider.

    Like a Translator, but its request is a whole call, since litellm decides on addresses and
    headers too. `load` must have run.
    """

    def __init__(self, kind: str, model: str, *, api_key: str, base_url: str = "") -> None:
        """Raises UntranslatableError for a kind that cannot be served, and says why."""
        self._address = check_kind(kind, base_url, api_key)
        self._kind = kind
        self._model = model
        self._api_key = api_key
        self._config = _config_of(kind, model)

    def prepare(self, doc: Mapping[str, Any], *, is_streaming: bool) -> PreparedCall:
        """Return the call for a chat request. Raises UntranslatableError; never changes `doc`."""
        copied: Document = orjson.loads(orjson.dumps(doc))  # litellm changes what it is given
        supported = frozenset(self._config.get_supported_openai_params(self._model))
        settings = split_fields(copied, supported, _known_fields())
        if is_streaming:
            settings["stream"] = True
        try:
            return self._prepare(copied.get("messages"), settings, supported)
        except UntranslatableError:
            raise
        except Exception as error:
            text = f"{self._kind} cannot be asked this: {_reason(error, self._api_key)}"
            raise UntranslatableError(text, PARAM_HINT) from error

    def _prepare(
        self, messages: Any, settings: Document, supported: frozenset[str]
    ) -> PreparedCall:
        """Run litellm's five steps: settings, headers, address, body, signature."""
        if not isinstance(messages, list) or not messages:
            hint = "Send at least one message."
            raise UntranslatableError("'messages' is no array of messages.", hint, param="messages")
        config, model = self._config, self._model
        ours = {name: value for name, value in settings.items() if name in supported}
        own = {name: value for name, value in settings.items() if name not in supported}
        asked = {**config.map_openai_params(ours, {}, model, False), **own}
        place: Document = {"api_base": self._address, "api_key": self._api_key}
        headers = config.validate_environment(
            {}, model, messages, asked, place, self._api_key, self._address
        )
        is_streaming = settings.get("stream") is True
        url = config.get_complete_url(
            self._address, self._api_key, model, asked, place, is_streaming
        )
        body = config.transform_request(model, messages, asked, place, headers)
        if is_streaming:
            body["stream"] = True
        signed, raw = config.sign_request(headers, asked, body, url)
        content = raw if isinstance(raw, bytes) else orjson.dumps(body)
        return PreparedCall(url, _own_headers(signed), content)

    def answer(self, body: bytes, headers: Mapping[str, str], asked: Mapping[str, Any]) -> Document:
        """Return the chat completion of a provider's whole answer; ValueError when it is none."""
        try:
            document = orjson.loads(body)
            name, kind = ANSWER_FIELDS.get(self._kind, ("choices", list))
            if not isinstance(document[name], kind):
                raise TypeError(name)
            return self._answer(document, headers, asked)
        except Exception as error:
            text = f"{self._kind} answered what cannot be read: {type(error).__name__}"
            raise ValueError(text) from error

    def _answer(
        self, document: Document, headers: Mapping[str, str], asked: Mapping[str, Any]
    ) -> Document:
        import httpx
        from litellm import ModelResponse

        plain = {name: value for name, value in headers.items() if name.lower() not in HOP_FIELDS}
        request = httpx.Request("POST", self._address)
        usage = document.get("usage")
        body = orjson.dumps({**document, "usage": usage or NO_USAGE})
        response = self._config.transform_response(
            model=self._model,
            raw_response=httpx.Response(200, content=body, headers=plain, request=request),
            model_response=ModelResponse(),
            logging_obj=_Silent(),
            request_data={},
            messages=list(asked.get("messages") or ()),
            optional_params={},
            litellm_params={},
            encoding=None,
            api_key=self._api_key,
        )
        completion: Document = response.model_dump(mode="json", exclude_none=True)
        if not isinstance(usage, dict) or not usage:
            completion.pop("usage", None)  # unknown is not zero
        elif "prompt_tokens" in usage:
            completion["usage"] = usage  # OpenAI's words already: nothing is to be lost
        for choice in completion["choices"]:
            choice["message"].setdefault("content", None)
        return {**completion, "model": str(asked.get("model") or self._model)}

    def stream(self, asked: Mapping[str, Any]) -> LinesToChunks:
        """Return a fresh filter from the provider's stream to chat's, for the answer to `asked`."""
        from litellm import ModelResponseStream

        iterator = self._config.get_model_response_iterator(
            streaming_response=iter(()), sync_stream=True, json_mode=False
        )
        first = ModelResponseStream(choices=[])
        head = {
            "id": first.id,
            "created": first.created,
            "model": str(asked.get("model") or self._model),
        }
        options = asked.get("stream_options")
        return LinesToChunks(
            # Some of litellm's parsers look for an event's name and data beside its fields.
            lambda event: _chunk_of(
                iterator.chunk_parser({"event": event.get("type"), "data": event, **event})
            ),
            head,
            last_event=LAST_EVENTS.get(self._kind, ""),
            has_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def error(self, document: Mapping[str, Any]) -> Document | None:
        """Return OpenAI's error document of the provider's; None when it is none."""
        return error_of(document)


def _own_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Each header once, whatever its case, without litellm's signature as the calling program."""
    once = {str(name).title(): str(value) for name, value in headers.items()}
    once.pop("User-Agent", None)
    once.pop("Request-Source", None)
    return {**once, "Content-Type": "application/json"}


def _config_of(kind: str, model: str) -> Any:
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    config = ProviderConfigManager.get_provider_chat_config(model, LlmProviders(kind))
    if config is None:
        hint = "Give its OpenAI-compatible address to an upstream of kind openai."
        raise UntranslatableError(f"An upstream of kind {kind} has no chat.", hint)
    return config


def _known_fields() -> frozenset[str]:
    from litellm.constants import OPENAI_CHAT_COMPLETION_PARAMS

    return frozenset(OPENAI_CHAT_COMPLETION_PARAMS)


def _reason(error: Exception, api_key: str) -> str:
    """What litellm says, on one line, without the credential."""
    text = " ".join(str(error).split())[:300]
    return text.replace(api_key, "***")


def _without_nulls(fields: Mapping[str, Any]) -> Document:
    """Official clients join the pieces of a call, and cannot join null to a text."""
    return {
        name: _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
        if value is not None
    }


def _chunk_of(parsed: Any) -> Document:
    """Return either of litellm's two shapes of a chunk as OpenAI's."""
    from litellm.litellm_core_utils.core_helpers import map_finish_reason

    if not isinstance(parsed, dict):
        document: Document = parsed.model_dump(mode="json", exclude_none=True)
        return document
    delta: Document = {}
    if parsed.get("text"):
        delta["content"] = parsed["text"]
    if parsed.get("tool_use"):
        delta["tool_calls"] = [_without_nulls(parsed["tool_use"])]
    reason = parsed.get("finish_reason") if parsed.get("is_finished") else None
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": map_finish_reason(reason) if reason else None,
    }
    usage = parsed.get("usage")
    return {"choices": [choice], "usage": dict(usage) if usage else None}
