"""Writes an answer as a Response, whole or as its stream of events: pure. Used by responses.py."""

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.providers.mock.completions import Answer, Choice
from proxy.providers.mock.rendering import Event, Usage, completion_document, envelope
from proxy.providers.mock.responses_request import ResponsesRequest
from proxy.providers.mock.text import count_tokens, digest_of, make_words, split_tokens

_ENDINGS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True,
    "previous_response_id": None, "temperature": 1.0, "tool_choice": "auto", "tools": [],
    "top_p": 1.0, "truncation": "disabled", "user": None, "background": False, "store": True,
}  # fmt: skip


def usage_document(usage: Usage) -> dict[str, Any]:
    output_tokens = usage.output_tokens + usage.reasoning_tokens
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + output_tokens,
    }


def response_document(
    request: ResponsesRequest, answer: Answer, usage: Usage | None, name: str, conversation: str
) -> dict[str, Any]:
    """The finished Response; `usage` None leaves it unsaid."""
    asked = request.document
    created = envelope(request.chat, "response")["created"]
    ending = _ENDINGS.get(answer.choices[0].finish_reason)
    document: dict[str, Any] = {
        "id": name,
        "object": "response",
        "created_at": created,
        "completed_at": None if ending else created + 1,
        "status": "incomplete" if ending else "completed",
        "error": None,
        "incomplete_details": {"reason": ending} if ending else None,
        "model": request.chat.model,
        "service_tier": "default",
        "conversation": {"id": conversation} if conversation else None,
        "reasoning": {"effort": None, "summary": None} | (asked.get("reasoning") or {}),
        "text": {"format": {"type": "text"}} | (asked.get("text") or {}),
    }
    for field, default in _ECHOED.items():
        document[field] = default if asked.get(field) is None else asked[field]
    document["output"] = _output(request, answer, digest_of(name.encode()).hex())
    document["usage"] = None if usage is None else usage_document(usage)
    return document


def _output(request: ResponsesRequest, answer: Answer, stem: str) -> list[dict[str, Any]]:
    choice = answer.choices[0]
    status = "incomplete" if choice.finish_reason in _ENDINGS else "completed"
    items: list[dict[str, Any]] = []
    if answer.reasoning_tokens:
        items.append(_reasoning(request, stem))
    if request.searches_web and not choice.calls:
        query = make_words(request.chat.seed, 3)
        action = {"type": "search", "query": query, "queries": [query]}
        search = {"id": f"ws_{stem}", "type": "web_search_call", "status": "completed"}
        items.append(search | {"action": action})
    if choice.calls:
        items += [
            {
                "id": f"fc_{stem}_{index}", "type": "function_call", "status": status,
                "call_id": call.id, "name": call.name, "arguments": call.arguments,
            }
            for index, call in enumerate(choice.calls)
        ]  # fmt: skip
    else:
        message = {"id": f"msg_{stem}", "type": "message", "role": "assistant", "status": status}
        items.append(message | {"content": [_content(request, answer, choice)]})
    return items


def _reasoning(request: ResponsesRequest, stem: str) -> dict[str, Any]:
    item: dict[str, Any] = {"id": f"rs_{stem}", "type": "reasoning", "summary": []}
    asked = request.document
    if (asked.get("reasoning") or {}).get("summary"):
        text = make_words(digest_of(request.chat.seed, b"summary"), 9)
        item["summary"] = [{"type": "summary_text", "text": text}]
    if "reasoning.encrypted_content" in (asked.get("include") or ()):
        item["encrypted_content"] = digest_of(request.chat.seed, b"encrypted").hex()
    return item


def _content(request: ResponsesRequest, answer: Answer, choice: Choice) -> dict[str, Any]:
    if choice.refusal is not None:
        return {"type": "refusal", "refusal": choice.refusal}
    logprobs = completion_document(request.chat, answer, None)["choices"][0]["logprobs"]
    return {
        "type": "output_text",
        "text": choice.content or "",
        "annotations": [],
        "logprobs": logprobs["content"] if logprobs else [],
    }


class ResponseWriter:
    """The numbered events of one Response's stream, up to but not including the last one."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._number = 0

    def events(self) -> Iterator[Event]:
        """Yield created to the last item's end; each carries the visible tokens it adds."""
        begun: dict[str, Any] = {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "completed_at": None,
        }
        frame = self._document | begun | {"incomplete_details": None}
        if self._document["background"]:
            yield self._event("response.queued", response=frame | {"status": "queued"})
        yield self._event("response.created", response=frame)
        yield self._event("response.in_progress", response=frame)
        for index, item in enumerate(self._document["output"]):
            place = {"item_id": item["id"], "output_index": index}
            added = self._empty(item)
            yield self._event("response.output_item.added", output_index=index, item=added)
            yield from self._inner(item, place)
            yield self._event("response.output_item.done", output_index=index, item=item)

    def last(self, usage: Usage | None) -> bytes:
        """The event that ends the stream."""
        said = None if usage is None else usage_document(usage)
        kind = f"response.{self._document['status']}"
        return self._event(kind, response=self._document | {"usage": said}).data

    def error(self, fields: dict[str, Any]) -> bytes:
        named = {name: fields.get(name) for name in ("code", "message", "param")}
        return self._event("error", **named).data

    def _empty(self, item: dict[str, Any]) -> dict[str, Any]:
        emptied = {"content": [], "arguments": "", "summary": []}
        begun = {name: value for name, value in emptied.items() if name in item}
        return item | begun | ({"status": "in_progress"} if "status" in item else {})

    def _inner(self, item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
        match item["type"]:
            case "web_search_call":
                for step in ("in_progress", "searching", "completed"):
                    yield self._event(f"response.web_search_call.{step}", **place)
            case "reasoning":
                for number, part in enumerate(item["summary"]):
                    where = {**place, "summary_index": number}
                    yield from self._summary(part, where)
            case "function_call":
                yield from self._arguments(item, place)
            case _:
                yield from self._text(item["content"][0], {**place, "content_index": 0})

    def _summary(self, part: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
        stem, text = "response.reasoning_summary", part["text"]
        yield self._event(f"{stem}_part.added", **place, part=part | {"text": ""})
        yield self._event(f"{stem}_text.delta", **place, delta=text)
        yield self._event(f"{stem}_text.done", **place, text=text)
        yield self._event(f"{stem}_part.done", **place, part=part)

    def _arguments(self, item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
        stem, text = "response.function_call_arguments", item["arguments"]
        named = count_tokens(item["name"])
        for token in split_tokens(text):
            yield self._event(f"{stem}.delta", 1 + named, **place, delta=token)
            named = 0
        done = {"name": item["name"], "arguments": text}
        yield self._event(f"{stem}.done", named, **place, **done)

    def _text(self, part: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
        said_as = "refusal" if part["type"] == "refusal" else "text"
        stem, text = f"response.{part['type']}", part[said_as]
        has_logprobs = said_as == "text"
        logprobs = part.get("logprobs") or []
        empty = part | {said_as: ""} | ({"logprobs": []} if has_logprobs else {})
        yield self._event("response.content_part.added", **place, part=empty)
        for number, token in enumerate(split_tokens(text)):
            extra = {"logprobs": logprobs[number : number + 1]} if has_logprobs else {}
            yield self._event(f"{stem}.delta", 1, **place, delta=token, **extra)
        extra = {"logprobs": logprobs} if has_logprobs else {}
        yield self._event(f"{stem}.done", **place, **{said_as: text}, **extra)
        yield self._event("response.content_part.done", **place, part=part)

    def _event(self, kind: str, tokens: int = 0, /, **fields: Any) -> Event:
        document = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return Event(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document)), tokens)
