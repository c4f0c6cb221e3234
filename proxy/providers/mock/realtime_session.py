"""One realtime session without its socket: client events in, server events out. By realtime.py."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.buckets import Buckets
from proxy.providers.mock.prompts import AUDIO_CHARACTERS_PER_TOKEN, Prompt
from proxy.providers.mock.shelf import Document, new_id
from proxy.providers.mock.text import (
    count_tokens,
    digest_of,
    draw,
    make_tokens,
    make_words,
    split_tokens,
)

MAX_ITEMS = 1000
LEAST_AUDIO_CHARACTERS = 256
MAX_CONTENT_CHARACTERS = 16 * 1024 * 1024
AUDIO_TOKENS_PER_TOKEN = 5
_MODALITIES = (["text"], ["audio"])
_AUDIO_FRAME_BYTES = 160


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event for the caller and the tokens of text it carries."""

    document: Document
    tokens: int = 0


class ClientEventError(Exception):
    """A client event that cannot be carried out; answered by an error event."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.fields = {
            "type": "invalid_request_error", "code": code, "message": message, "param": param,
        }  # fmt: skip


class RealtimeSession:
    """The conversation so far. `spent` grows as events are taken, so that it is right when cut.

    `match_cache` returns how many tokens of a prompt were cached.
    """

    def __init__(
        self, model: str, output_tokens: int | None, match_cache: Callable[[Prompt], int]
    ) -> None:
        self.spent = Buckets()
        self.is_responding = False
        self._output_tokens = output_tokens
        self._match_cache = match_cache
        self._items: dict[str, Document] = {}
        self._content_characters = 0
        self._conversation_id = new_id("conv_", 21)
        self._audio: list[str] = []
        self._audio_characters = 0
        self.document: Document = {
            "type": "realtime",
            "object": "realtime.session",
            "id": new_id("sess_", 21),
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "audio": {"output": {"voice": "alloy"}},
        }

    def opening(self) -> ServerEvent:
        return _event("session.created", session=self.document)

    def take(self, event: Document) -> Iterator[ServerEvent]:
        """Carry out one client event; ClientEventError when that is impossible."""
        taking = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "input_audio_buffer.append": self._append_audio,
            "input_audio_buffer.clear": self._clear_audio,
            "input_audio_buffer.commit": self._commit_audio,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }
        kind = event.get("type")
        if not isinstance(kind, str) or kind not in taking:
            raise ClientEventError(f"Unknown event type: {kind!r}.", "invalid_value", "type")
        yield from taking[kind](event)

    def _update(self, event: Document) -> Iterator[ServerEvent]:
        asked = _object(event, "session")
        _check_session(asked)
        fixed = {"id", "object", "model"}
        self.document |= {name: value for name, value in asked.items() if name not in fixed}
        yield _event("session.updated", session=self.document)

    def _create_item(self, event: Document) -> Iterator[ServerEvent]:
        asked = _object(event, "item")
        if not isinstance(asked.get("type"), str):
            raise ClientEventError(
                "Missing 'item.type'.", "missing_required_parameter", "item.type"
            )
        item_id = asked.get("id") or new_id("item_", 21)
        item = {"object": "realtime.item", "status": "completed", **asked, "id": str(item_id)}
        yield from self._add(item)

    def _add(self, item: Document) -> Iterator[ServerEvent]:
        size = len(orjson.dumps(item))
        if item["id"] in self._items:
            raise ClientEventError("The item exists already.", "item_exists", "item.id")
        if (
            len(self._items) >= MAX_ITEMS
            or self._content_characters + size > MAX_CONTENT_CHARACTERS
        ):
            raise ClientEventError("The conversation is too long.", "conversation_too_long")
        before = next(reversed(self._items), None)
        self._items[item["id"]] = item
        self._content_characters += size
        for name in ("conversation.item.added", "conversation.item.done"):
            yield _event(name, previous_item_id=before, item=item)

    def _retrieve_item(self, event: Document) -> Iterator[ServerEvent]:
        yield _event("conversation.item.retrieved", item=self._items[self._item_id(event)])

    def _delete_item(self, event: Document) -> Iterator[ServerEvent]:
        item_id = self._item_id(event)
        self._content_characters -= len(orjson.dumps(self._items.pop(item_id)))
        yield _event("conversation.item.deleted", item_id=item_id)

    def _item_id(self, event: Document) -> str:
        item_id = event.get("item_id")
        if not isinstance(item_id, str) or item_id not in self._items:
            raise ClientEventError("No such item.", "item_not_found", "item_id")
        return item_id

    def _append_audio(self, event: Document) -> Iterator[ServerEvent]:
        audio = event.get("audio")
        if not isinstance(audio, str):
            raise ClientEventError("Missing 'audio'.", "missing_required_parameter", "audio")
        # A floor under each piece: a flood of tiny ones must fill the buffer, too.
        size = max(len(audio), LEAST_AUDIO_CHARACTERS)
        if self._audio_characters + size > MAX_CONTENT_CHARACTERS:
            raise ClientEventError("The audio buffer is full.", "input_audio_buffer_full")
        self._audio.append(audio)
        self._audio_characters += size
        return iter(())

    def _clear_audio(self, _: Document) -> Iterator[ServerEvent]:
        self._take_audio()
        yield _event("input_audio_buffer.cleared")

    def _commit_audio(self, _: Document) -> Iterator[ServerEvent]:
        if not self._audio:
            raise ClientEventError("The buffer is empty.", "input_audio_buffer_commit_empty")
        part = {"type": "input_audio", "audio": self._take_audio()}
        item = {
            "id": new_id("item_", 21), "object": "realtime.item", "type": "message",
            "role": "user", "status": "completed", "content": [part],
        }  # fmt: skip
        before = next(reversed(self._items), None)
        yield _event("input_audio_buffer.committed", previous_item_id=before, item_id=item["id"])
        yield from self._add(item)

    def _take_audio(self) -> str:
        audio = "".join(self._audio)
        self._audio.clear()
        self._audio_characters = 0
        return audio

    def _cancel(self, _: Document) -> Iterator[ServerEvent]:
        # An answer is sent whole before the next event is read: there is never one to cancel.
        raise ClientEventError("No response is active.", "response_cancel_not_active")

    def _respond(self, event: Document) -> Iterator[ServerEvent]:
        options = _object(event, "response") if event.get("response") else {}
        _check_session(options)
        modalities = options.get("output_modalities") or self.document["output_modalities"]
        prompt = self._prompt(options)
        cached_tokens = min(self._match_cache(prompt), prompt.tokens - prompt.audio_tokens)
        before = self.spent
        self._spend(
            input_tokens=prompt.tokens - prompt.audio_tokens - cached_tokens,
            cache_read_tokens=cached_tokens,
            audio_input_tokens=prompt.audio_tokens,
        )
        self.is_responding = True
        response = self._new_response(options, modalities)
        yield _event("response.created", response=dict(response))
        item, speaks = _new_item(), modalities == ["audio"]
        yield from self._say(response["id"], item, self._words(prompt), speaks=speaks)
        if options.get("conversation") != "none":
            yield from self._add(item)
        used = _usage_document(difference(self.spent, before))
        response |= {"status": "completed", "output": [item], "usage": used}
        self.is_responding = False
        yield _event("response.done", response=response)

    def _spend(self, **tokens: int) -> None:
        self.spent = self.spent.plus(Buckets(**tokens))

    def _new_response(self, options: Document, modalities: list[str]) -> Document:
        return {
            "id": new_id("resp_", 21),
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": self._conversation_id,
            "output_modalities": modalities,
            "max_output_tokens": "inf",
            "metadata": options.get("metadata"),
            "usage": None,
        }

    def _prompt(self, options: Document) -> Prompt:
        """Measure what a response reads: the instructions and every item, or the input given."""
        instructions = options.get("instructions") or self.document["instructions"]
        items = options["input"] if isinstance(options.get("input"), list) else self._items.values()
        pieces, audio_characters = [str(instructions)], 0
        for item in items:
            for part in _parts(item):
                audio = part.get("audio") if part.get("type") == "input_audio" else None
                audio_characters += len(audio) if isinstance(audio, str) else 0
                pieces.append(str(part.get("text") or part.get("transcript") or ""))
        text = "\n".join(pieces)
        audio_tokens = -(-audio_characters // AUDIO_CHARACTERS_PER_TOKEN)
        return Prompt(text, count_tokens(text) + audio_tokens, audio_tokens)

    def _words(self, prompt: Prompt) -> str:
        seed = digest_of(prompt.text.encode("utf-8", "surrogatepass"))
        if self._output_tokens is not None:
            return make_tokens(seed, self._output_tokens)
        return make_words(seed, 8 + draw(seed, "length", 16))

    def _say(
        self, response_id: str, item: Document, text: str, *, speaks: bool
    ) -> Iterator[ServerEvent]:
        """Yield one message from its item to its last part; fills the item as it goes."""
        about = {"response_id": response_id, "output_index": 0}
        yield _event("response.output_item.added", **about, item=dict(item))
        about_part = {**about, "item_id": item["id"], "content_index": 0}
        kind, field = ("audio", "transcript") if speaks else ("text", "text")
        part = {"type": kind, field: ""}
        yield _event("response.content_part.added", **about_part, part=dict(part))
        stem = "response.output_audio_transcript" if speaks else "response.output_text"
        for token in split_tokens(text):
            if speaks:
                self._spend(output_tokens=1, audio_output_tokens=AUDIO_TOKENS_PER_TOKEN)
                yield _event("response.output_audio.delta", **about_part, delta=_sound(token))
            else:
                self._spend(output_tokens=1)
            yield ServerEvent(_event(f"{stem}.delta", **about_part, delta=token).document, 1)
        if speaks:
            yield _event("response.output_audio.done", **about_part)
        yield _event(f"{stem}.done", **about_part, **{field: text})
        yield _event("response.content_part.done", **about_part, part={**part, field: text})
        content = {"type": f"output_{kind}", field: text}
        item |= {"status": "completed", "content": [content]}
        yield _event("response.output_item.done", **about, item=item)


def error_event(error: ClientEventError, event_id: Any = None) -> ServerEvent:
    """Make the error event for a client event; it names that event's own id."""
    return _event("error", error={**error.fields, "event_id": event_id})


def _event(kind: str, **fields: Any) -> ServerEvent:
    return ServerEvent({"type": kind, "event_id": new_id("event_", 21), **fields})


def _object(event: Document, name: str) -> Document:
    value = event.get(name)
    if not isinstance(value, dict):
        message = f"Missing required parameter: '{name}'."
        raise ClientEventError(message, "missing_required_parameter", name)
    return value


def _check_session(asked: Document) -> None:
    modalities = asked.get("output_modalities")
    if modalities is not None and modalities not in _MODALITIES:
        message = "'output_modalities' must be ['text'] or ['audio']."
        raise ClientEventError(message, "invalid_value", "output_modalities")


def _new_item() -> Document:
    return {
        "id": new_id("item_", 21), "object": "realtime.item", "type": "message",
        "role": "assistant", "status": "in_progress", "content": [],
    }  # fmt: skip


def _parts(item: Any) -> list[Document]:
    content = item.get("content") if isinstance(item, dict) else None
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _sound(token: str) -> str:
    noise = digest_of(token.encode("utf-8", "surrogatepass"))
    return b64encode(noise * (_AUDIO_FRAME_BYTES // len(noise))).decode()


def difference(after: Buckets, before: Buckets) -> Buckets:
    earlier = before.counts()
    return Buckets(**{name: count - earlier[name] for name, count in after.counts().items()})


def _usage_document(used: Buckets) -> Document:
    input_tokens, output_tokens = used.prompt_tokens(), used.completion_tokens()
    return {
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": used.input_tokens + used.cache_read_tokens,
            "audio_tokens": used.audio_input_tokens,
            "image_tokens": 0,
            "cached_tokens": used.cache_read_tokens,
            "cached_tokens_details": {
                "text_tokens": used.cache_read_tokens, "audio_tokens": 0, "image_tokens": 0,
            },
        },
        "output_token_details": {
            "text_tokens": used.output_tokens,
            "audio_tokens": used.audio_output_tokens,
        },
    }  # fmt: skip
