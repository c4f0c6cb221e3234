"""What a LangChain app does over langchain-anthropic, at a Claude and at another's model.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import os
from typing import Any

import anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel

ACCESS: Any = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["GATEWAY_KEY"]}


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 4 degrees"


def connect(model: str) -> Any:
    return ChatAnthropic(model=model, max_tokens=1000, max_retries=0, **ACCESS)


def chat(model: str) -> None:
    answer = connect(model).invoke([("system", "Be brief."), ("user", "What is a gateway?")])
    assert answer.text
    check_usage(answer.usage_metadata)


def check_usage(usage: Any) -> None:
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


def stream(model: str) -> None:
    pieces = list(connect(model).stream("Count to five."))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert whole.text
    check_usage(whole.usage_metadata)


def tools(model: str) -> None:
    """The loop of an agent: call the tool, hand back its result, get an answer in words."""
    llm = connect(model)
    history: list[Any] = [HumanMessage("get_weather of Oslo, please.")]
    asked = llm.bind_tools([get_weather], tool_choice="get_weather").invoke(history)
    assert asked.tool_calls
    history += [asked, *(get_weather.invoke(call) for call in asked.tool_calls)]
    assert llm.bind_tools([get_weather]).invoke(history).text


def structured(model: str) -> None:
    for method in ("json_schema", "function_calling"):
        llm = connect(model).with_structured_output(Recipe, method=method)
        assert isinstance(llm.invoke("A recipe, please."), Recipe)


def errors() -> None:
    try:
        connect("claude-haiku").invoke("Hello!")
    except anthropic.NotFoundError as error:
        assert "claude-haiku" in str(error)
    else:
        raise AssertionError("an unknown model was answered")


def main() -> None:
    for family, model in (("", "claude-haiku-4-5"), ("gpt ", "gpt-4o-mini")):
        for use in (chat, stream, tools, structured):
            use(model)
            print(f"{family}{use.__name__} ok", flush=True)
    errors()
    print("errors ok")


if __name__ == "__main__":
    main()
