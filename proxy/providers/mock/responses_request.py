"""Reads a Responses request and asks for the same words as chat would; called by responses.py.

The mock has its own reading, apart from the gateway's translation: one checks the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.completions import ChatRequest, read_chat_request
from proxy.providers.mock.errors import MockError, missing, wrong_type, wrong_value
from proxy.providers.mock.text import digest_of
from proxy.providers.mock.validation import Field, check_fields, parse_body, read_model

_FIELDS = (
    Field("temperature", (int, float), "a decimal number", 0, 2),
    Field("top_p", (int, float), "a decimal number", 0, 1),
    Field("max_output_tokens", (int,), "an integer", 1),
    Field("top_logprobs", (int,), "an integer", 0, 20),
    Field("stream", (bool,), "a boolean"),
    Field("store", (bool,), "a boolean"),
    Field("background", (bool,), "a boolean"),
    Field("parallel_tool_calls", (bool,), "a boolean"),
    Field("instructions", (str,), "a string"),
    Field("previous_response_id", (str,), "a string"),
    Field("conversation", (str, dict), "a string or an object"),
    Field("tools", (list,), "an array"),
    Field("tool_choice", (str, dict), "a string or an object"),
    Field("text", (dict,), "an object"),
    Field("reasoning", (dict,), "an object"),
    Field("include", (list,), "an array of strings"),
    Field("metadata", (dict,), "an object"),
    Field("user", (str,), "a string"),
    Field("service_tier", (str,), "a string"),
)
_SAME_FIELDS = ("temperature", "top_p", "parallel_tool_calls", "user", "service_tier")


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A checked request: `items` are its own, `chat` also has what came before them."""

    document: dict[str, Any]
    items: list[dict[str, Any]]
    chat: ChatRequest

    @property
    def is_kept(self) -> bool:
        return self.document.get("store") is not False

    @property
    def is_background(self) -> bool:
        return self.document.get("background") is True

    @property
    def searches_web(self) -> bool:
        tools = self.document.get("tools") or ()
        return any(str(tool.get("type")).startswith("web_search") for tool in tools)


def read_document(body: bytes) -> dict[str, Any]:
    """Parse and check what can be checked without knowing what came before."""
    document = parse_body(body)
    read_model(document)
    check_fields(document, _FIELDS)
    if document.get("background") and document.get("store") is False:
        raise wrong_value("background", "it needs 'store' to be true.")
    if document.get("previous_response_id") and document.get("conversation"):
        raise wrong_value("conversation", "it excludes 'previous_response_id'.")
    for index, tool in enumerate(document.get("tools") or ()):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise missing(f"tools[{index}].type")
    return document


def read_items(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The request's own input as items with ids, a text as one message."""
    given = document.get("input")
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    if given is None:
        raise missing("input")
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    return [_item(item, f"input[{index}]") for index, item in enumerate(given)]


def _item(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    item = {"type": "message", **item}
    if not isinstance(item["type"], str):
        raise wrong_type(f"{where}.type", "a string", item["type"])
    content = item.get("content")
    if item["type"] == "message" and isinstance(content, str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        item["content"] = [{"type": kind, "text": content}]
    identity = digest_of(where.encode(), orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
    return {"id": f"{item['type'][:3]}_{identity.hex()}", **item}


def request_of(
    document: dict[str, Any], items: list[dict[str, Any]], before: list[dict[str, Any]]
) -> ResponsesRequest:
    """Put the conversation before the request's own items and read it all as chat."""
    chat: dict[str, Any] = {name: document[name] for name in _SAME_FIELDS if name in document}
    chat |= {"model": document["model"], "messages": _messages(document, [*before, *items])}
    limit = document.get("max_output_tokens")
    if limit is not None:
        chat["max_completion_tokens"] = limit
    effort = (document.get("reasoning") or {}).get("effort")
    if effort is not None:
        chat["reasoning_effort"] = effort
    if document.get("top_logprobs"):
        chat |= {"logprobs": True, "top_logprobs": document["top_logprobs"]}
    chat |= _tools(document) | _format(document)
    return ResponsesRequest(document, items, read_chat_request(orjson.dumps(chat)))


def _messages(document: dict[str, Any], items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if document.get("instructions"):
        messages.append({"role": "system", "content": document["instructions"]})
    for item in items:
        match item["type"]:
            case "message":
                parts = item.get("content")
                content = [_part(part) for part in parts] if isinstance(parts, list) else parts
                messages.append({"role": item.get("role"), "content": content})
            case "function_call" | "custom_tool_call":
                said = {"id": item.get("call_id"), "function": _called(item)}
                messages.append({"role": "assistant", "content": None, "tool_calls": [said]})
            case "function_call_output" | "custom_tool_call_output":
                text = item.get("output")
                content = text if isinstance(text, str) else orjson.dumps(text).decode()
                call_id = item.get("call_id")
                messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
            case _:
                continue  # reasoning and the provider's own calls are not shown to the mock
    return messages


def _called(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": item.get("name"), "arguments": item.get("arguments", item.get("input"))}


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise MockError("A part of content must be an object with a 'type'.", param="input")
    if kind in {"input_text", "output_text"}:
        return {"type": "text", "text": part.get("text", "")}
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url")}}
    return part


def _tools(document: dict[str, Any]) -> dict[str, Any]:
    """The functions among the tools, nested as in chat; the others are no business of the words."""
    functions = [
        {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
        for tool in document.get("tools") or ()
        if tool["type"] == "function"
    ]
    choice = document.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    if not functions:
        return {}
    return {"tools": functions} | ({} if choice is None else {"tool_choice": choice})


def _format(document: dict[str, Any]) -> dict[str, Any]:
    wanted = (document.get("text") or {}).get("format")
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return {}
    if wanted.get("type") != "json_schema":
        return {"response_format": wanted}
    held = {k: v for k, v in wanted.items() if k != "type"}
    return {"response_format": {"type": "json_schema", "json_schema": held}}
