"""What an app on openai-python does all day; the same file runs with version 2 and version 3.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import openai
from pydantic import BaseModel

client = openai.OpenAI(
    base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["GATEWAY_KEY"], max_retries=0
)
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int
    steps: list[str]


def chat(model: str) -> None:
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "What is a gateway?"},
        ],
    )
    assert answer.object == "chat.completion"
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    check_usage(answer.usage)


def check_usage(usage: Any) -> None:
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def stream(model: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Count to five."}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert told[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in told)
    assert [choice.finish_reason for choice in told if choice.finish_reason] == ["stop"]
    assert not chunks[-1].choices
    check_usage(chunks[-1].usage)


def tools(model: str) -> None:
    """The loop of an agent: call the tool, hand back its result, get an answer in words."""
    messages: list[Any] = [{"role": "user", "content": "get_weather of Oslo, please."}]
    asked = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER], tool_choice="required"
    )
    assert asked.choices[0].finish_reason == "tool_calls"
    message = asked.choices[0].message
    messages.append(message)
    for call in message.tool_calls or []:
        assert call.type == "function"
        assert call.function.name == "get_weather"
        city = json.loads(call.function.arguments)["city"]
        result = json.dumps({"city": city, "celsius": 4})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert len(messages) > 2
    told = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert told.choices[0].message.content
    assert told.choices[0].finish_reason == "stop"


def streamed_tools(model: str) -> None:
    with client.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": "get_weather of Rome, please."}],
        tools=[WEATHER],
        tool_choice="required",
    ) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    [call] = final.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments["city"], str)  # type: ignore[index]


def structured(model: str) -> None:
    answer = client.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": "A recipe, please."}],
        response_format=Recipe,
    )
    assert isinstance(answer.choices[0].message.parsed, Recipe)


def embeddings(model: str) -> None:
    """One vector a text, in order; the client asks for base64 and decodes it."""
    answer = client.embeddings.create(model=model, input=["one", "two"])
    assert [item.index for item in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 10
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens > 0


def models() -> None:
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("claude-haiku-4-5").id == "claude-haiku-4-5"


def errors() -> None:
    """Each mistake raises the client's own exception, with words that help."""
    ask: Any = {"messages": [{"role": "user", "content": "Hello!"}]}
    stranger = client.with_options(api_key="not-a-key")
    wrong_key = raised(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model="gpt-4o-mini", **ask),
    )
    assert wrong_key.status_code == 401
    unknown = raised(
        openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-4o-minni", **ask)
    )
    assert unknown.code == "model_not_found"
    assert "gpt-4o-minni" in unknown.message
    raised(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model="gpt-4o-mini", messages=[], temperature=9),
    )


def raised(kind: type[openai.APIStatusError], call: Callable[[], Any]) -> Any:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def main() -> None:
    for family, model in (
        ("", "gpt-4o-mini"),
        ("claude ", "claude-haiku-4-5"),
        ("gemini ", "gemini-2.5-flash"),
    ):
        for use in (chat, stream, tools, streamed_tools, structured):
            use(model)
            print(f"{family}{use.__name__.replace('_', ' ')} ok", flush=True)
    for model in ("text-embedding-3-small", "gemini-embedding-2"):
        embeddings(model)
    print("embeddings ok")
    models()
    print("models ok")
    errors()
    print("errors ok")


if __name__ == "__main__":
    main()
