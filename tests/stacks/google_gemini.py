"""What an app on Google's client does, at a Gemini model.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import os
from collections.abc import Callable
from typing import Any

from google import genai
from google.genai import errors as refusals
from google.genai import types
from pydantic import BaseModel

MODEL = "gemini-2.5-flash"


def connect(key: str) -> genai.Client:
    return genai.Client(
        api_key=key, http_options=types.HttpOptions(base_url=os.environ["BASE_URL"])
    )


client = connect(os.environ["GATEWAY_KEY"])


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


def chat() -> None:
    answer = client.models.generate_content(
        model=MODEL,
        contents="What is a gateway?",
        config=types.GenerateContentConfig(system_instruction="Answer in one sentence."),
    )
    assert answer.text
    check_usage(answer.usage_metadata)
    talk = client.chats.create(model=MODEL)
    talk.send_message("Hello!")
    assert talk.send_message("And again?").text
    assert len(talk.get_history()) == 4


def check_usage(usage: Any) -> None:
    assert usage is not None
    assert usage.prompt_token_count > 0
    assert usage.candidates_token_count > 0


def stream() -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Count to five."))
    assert "".join(chunk.text or "" for chunk in chunks)
    [reason] = [
        c.finish_reason for chunk in chunks for c in chunk.candidates or [] if c.finish_reason
    ]
    assert reason == types.FinishReason.STOP
    check_usage(chunks[-1].usage_metadata)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 4 degrees"


def tools() -> None:
    """The client itself runs the loop: it calls the function and sends its result back."""
    talk = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[get_weather]))
    answer = talk.send_message("get_weather of Oslo, please.")
    parts = [part for content in talk.get_history() for part in content.parts or []]
    assert any(part.function_call and part.function_call.name == "get_weather" for part in parts)
    assert any(part.function_response for part in parts)
    assert answer.text


def structured() -> None:
    answer = client.models.generate_content(
        model=MODEL,
        contents="A recipe, please.",
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_schema=Recipe
        ),
    )
    assert isinstance(answer.parsed, Recipe)


def embeddings() -> None:
    answer = client.models.embed_content(model="gemini-embedding-2", contents=["one", "two"])
    vectors = [item.values or [] for item in answer.embeddings or []]
    assert vectors
    assert all(len(vector) > 10 for vector in vectors)


def count_tokens() -> None:
    counted = client.models.count_tokens(model=MODEL, contents="How long is this?")
    assert (counted.total_tokens or 0) > 0


def models() -> None:
    assert any((model.name or "").endswith(MODEL) for model in client.models.list())


def errors() -> None:
    ask: Any = {"contents": "Hello!"}
    stranger = connect("not-a-key")
    wrong_key = raised(lambda: stranger.models.generate_content(model=MODEL, **ask))
    assert wrong_key.code == 401
    unknown = raised(lambda: client.models.generate_content(model="gemini-2.5-flesh", **ask))
    assert unknown.code == 404
    assert unknown.status == "NOT_FOUND"
    assert "gemini-2.5-flesh" in (unknown.message or "")


def raised(call: Callable[[], Any]) -> refusals.ClientError:
    try:
        call()
    except refusals.ClientError as error:
        return error
    raise AssertionError("no ClientError")


def main() -> None:
    for use in (chat, stream, tools, structured, embeddings, count_tokens, models, errors):
        use()
        print(f"{use.__name__.replace('_', ' ')} ok", flush=True)


if __name__ == "__main__":
    main()
