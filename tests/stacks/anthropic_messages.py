"""What an app on Anthropic's client does, at a Claude and, unchanged, at another provider's model.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import os
import uuid
from collections.abc import Callable
from typing import Any

import anthropic
from pydantic import BaseModel

client = anthropic.Anthropic(
    base_url=os.environ["BASE_URL"], api_key=os.environ["GATEWAY_KEY"], max_retries=0
)
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
CLAUDE = "claude-haiku-4-5"


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


def chat(model: str) -> None:
    answer = client.messages.create(
        model=model,
        max_tokens=1000,
        system="Answer in one sentence.",
        messages=[{"role": "user", "content": "What is a gateway?"}],
    )
    assert answer.type == "message"
    assert answer.role == "assistant"
    assert text_of(answer)
    assert answer.stop_reason in {"end_turn", "max_tokens"}
    check_usage(answer.usage)


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def check_usage(usage: Any) -> None:
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0


def stream(model: str) -> None:
    kinds = []
    with client.messages.stream(
        model=model, max_tokens=1000, messages=[{"role": "user", "content": "Count to five."}]
    ) as events:
        text = ""
        for event in events:
            kinds.append(event.type)
            text += event.text if event.type == "text" else ""
        final = events.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert text
    assert text == text_of(final)
    check_usage(final.usage)


def tools(model: str) -> None:
    """The loop of an agent: call the tool, hand back its result, get an answer in words."""
    messages: list[Any] = [{"role": "user", "content": "get_weather of Oslo, please."}]
    ask: Any = {"model": model, "max_tokens": 1000, "tools": [WEATHER]}
    asked = client.messages.create(**ask, messages=messages, tool_choice={"type": "any"})
    assert asked.stop_reason == "tool_use"
    results = []
    for block in asked.content:
        if block.type == "tool_use":
            assert block.name == "get_weather"
            said = f"{block.input['city']}: 4 degrees"
            results.append({"type": "tool_result", "tool_use_id": block.id, "content": said})
    assert results
    messages += [
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": results},
    ]
    assert text_of(client.messages.create(**ask, messages=messages))


def streamed_tools(model: str) -> None:
    with client.messages.stream(
        model=model,
        max_tokens=1000,
        messages=[{"role": "user", "content": "get_weather of Rome, please."}],
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    ) as events:
        final = events.get_final_message()
    [call] = [block for block in final.content if block.type == "tool_use"]
    assert isinstance(call.input["city"], str)


def structured(model: str) -> None:
    answer = client.messages.parse(
        model=model,
        max_tokens=1000,
        messages=[{"role": "user", "content": "A recipe, please."}],
        output_format=Recipe,
    )
    assert isinstance(answer.parsed_output, Recipe)


def thinking() -> None:
    answer = client.messages.create(
        model=CLAUDE,
        max_tokens=10000,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[{"role": "user", "content": "Which is the larger, 9.9 or 9.11?"}],
    )
    assert answer.content[0].type == "thinking"
    assert answer.content[0].signature
    assert text_of(answer)


def prompt_caching() -> None:
    """A marked prefix is written once and read afterwards."""
    # Its beginning is new every time: within five minutes it would be read at once.
    text = f"{uuid.uuid4()} " + "Be brief. " * 600
    system: Any = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    usages = [
        client.messages.create(
            model=CLAUDE,
            max_tokens=50,
            system=system,
            messages=[{"role": "user", "content": question}],
        ).usage
        for question in ("Why?", "Why not?")
    ]
    assert usages[0].cache_creation_input_tokens
    assert usages[1].cache_read_input_tokens == usages[0].cache_creation_input_tokens


def count_tokens() -> None:
    counted = client.messages.count_tokens(
        model=CLAUDE, messages=[{"role": "user", "content": "How long is this?"}]
    )
    assert counted.input_tokens > 0


def models() -> None:
    assert CLAUDE in [model.id for model in client.models.list()]


def errors() -> None:
    ask: Any = {"max_tokens": 50, "messages": [{"role": "user", "content": "Hello!"}]}
    stranger = client.with_options(api_key="not-a-key")
    raised(anthropic.AuthenticationError, lambda: stranger.messages.create(model=CLAUDE, **ask))
    unknown = raised(
        anthropic.NotFoundError, lambda: client.messages.create(model="claude-sonet", **ask)
    )
    assert "claude-sonet" in str(unknown)
    assert unknown.body["error"]["type"] == "not_found_error"
    nothing: Any = {"max_tokens": 50, "messages": []}
    raised(anthropic.BadRequestError, lambda: client.messages.create(model=CLAUDE, **nothing))
    raised(
        anthropic.BadRequestError, lambda: client.messages.create(model="gpt-4o-mini", **nothing)
    )


def raised(kind: type[anthropic.APIStatusError], call: Callable[[], Any]) -> Any:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def main() -> None:
    for family, model in (("", CLAUDE), ("gpt ", "gpt-4o-mini"), ("gemini ", "gemini-2.5-flash")):
        for use in (chat, stream, tools, streamed_tools, structured):
            use(model)
            print(f"{family}{use.__name__.replace('_', ' ')} ok", flush=True)
    for own in (thinking, prompt_caching, count_tokens, models, errors):
        own()
        print(f"{own.__name__.replace('_', ' ')} ok", flush=True)


if __name__ == "__main__":
    main()
