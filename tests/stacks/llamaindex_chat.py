"""What an app on LlamaIndex does, over llama-index-llms-openai and its embeddings.

Started by tests/e2e/test_stacks.py. Only api_base and the key are the gateway's.
"""

import os
from typing import Any

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

ACCESS: Any = {
    "api_base": os.environ["BASE_URL"] + "/v1",
    "api_key": os.environ["GATEWAY_KEY"],
    "max_retries": 0,
}


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 4 degrees"


llm = OpenAI(model="gpt-4o-mini", **ACCESS)


def chat() -> None:
    answer = llm.chat(
        [
            ChatMessage(role="system", content="Answer in one sentence."),
            ChatMessage(role="user", content="What is a gateway?"),
        ]
    )
    assert answer.message.content
    assert answer.raw.usage.completion_tokens > 0
    assert llm.complete("Hello!").text


def stream() -> None:
    pieces = list(llm.stream_chat([ChatMessage(role="user", content="Count to five.")]))
    assert "".join(piece.delta or "" for piece in pieces) == pieces[-1].message.content
    assert pieces[-1].message.content


def tools() -> None:
    """Call the tool, hand back its result, get an answer in words."""
    weather = FunctionTool.from_defaults(fn=get_weather)
    history = [ChatMessage(role="user", content="get_weather of Oslo, please.")]
    asked = llm.chat_with_tools([weather], chat_history=history, tool_required=True)
    history.append(asked.message)
    for call in llm.get_tool_calls_from_response(asked):
        result = weather.call(**call.tool_kwargs)
        history.append(
            ChatMessage(
                role="tool",
                content=str(result),
                additional_kwargs={"tool_call_id": call.tool_id},
            )
        )
    assert len(history) > 2
    assert llm.chat_with_tools([weather], chat_history=history).message.content


def structured() -> None:
    answer = llm.as_structured_llm(Recipe).complete("A recipe, please.")
    assert isinstance(answer.raw, Recipe)


def embeddings() -> None:
    made = OpenAIEmbedding(model="text-embedding-3-small", **ACCESS)
    one, two = made.get_text_embedding_batch(["one", "two"])
    assert one != two
    assert len(made.get_query_embedding("three")) == len(one) > 10


def errors() -> None:
    try:
        OpenAI(model="gpt-4o-mini", **ACCESS | {"api_key": "not-a-key"}).complete("Hello!")
    except openai.AuthenticationError as error:
        assert error.status_code == 401
    else:
        raise AssertionError("a wrong key was answered")


def main() -> None:
    for use in (chat, stream, tools, structured, embeddings, errors):
        use()
        print(f"{use.__name__} ok", flush=True)


if __name__ == "__main__":
    main()
