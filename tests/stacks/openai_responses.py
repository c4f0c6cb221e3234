"""The Responses API in openai-python, at models of three providers; runs with 2 and 3.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import json
import os
from typing import Any

import openai
from pydantic import BaseModel

client = openai.OpenAI(
    base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["GATEWAY_KEY"], max_retries=0
)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


def responses(model: str) -> None:
    answer = client.responses.create(
        model=model, instructions="Answer in one sentence.", input="What is a gateway?", store=False
    )
    assert answer.status == "completed"
    assert answer.output_text
    check_usage(answer.usage)


def check_usage(usage: Any) -> None:
    assert usage is not None
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def responses_stream(model: str) -> None:
    events = list(
        client.responses.create(model=model, input="Count to five.", store=False, stream=True)
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text
    check_usage(events[-1].response.usage)


def responses_tools(model: str) -> None:
    """The loop of an agent that keeps its own history: call, result, answer in words."""
    history: list[Any] = [{"role": "user", "content": "get_weather of Oslo, please."}]
    ask: Any = {"model": model, "tools": [WEATHER], "store": False}
    asked = client.responses.create(**ask, input=history, tool_choice="required")
    history += asked.output
    calls = [item for item in asked.output if item.type == "function_call"]
    assert calls
    for call in calls:
        assert call.name == "get_weather"
        result = json.dumps({"city": json.loads(call.arguments)["city"], "celsius": 4})
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    assert client.responses.create(**ask, input=history).output_text


def responses_structured(model: str) -> None:
    answer = client.responses.parse(
        model=model, input="A recipe, please.", text_format=Recipe, store=False
    )
    assert isinstance(answer.output_parsed, Recipe)


def chained_responses() -> None:
    """What the provider keeps: a response that follows another, read again and deleted."""
    first = client.responses.create(model="gpt-4o-mini", input="My name is Ada.")
    second = client.responses.create(
        model="gpt-4o-mini", input="What is my name?", previous_response_id=first.id
    )
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
    except openai.NotFoundError:
        return
    raise AssertionError("the deleted response is still there")


def main() -> None:
    for family, model in (
        ("", "gpt-4o-mini"),
        ("claude ", "claude-haiku-4-5"),
        ("gemini ", "gemini-2.5-flash"),
    ):
        for use in (responses, responses_stream, responses_tools, responses_structured):
            use(model)
            print(f"{family}{use.__name__.replace('_', ' ')} ok", flush=True)
    chained_responses()
    print("chained responses ok")


if __name__ == "__main__":
    main()
