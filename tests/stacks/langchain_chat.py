"""What a LangChain app does over langchain-openai, at models of three providers.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import os
from typing import Any

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

ACCESS: Any = {"base_url": os.environ["BASE_URL"] + "/v1", "api_key": os.environ["GATEWAY_KEY"]}


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    minutes: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 4 degrees"


def connect(model: str, **more: Any) -> ChatOpenAI:
    options: Any = {"model": model, "max_retries": 0, **ACCESS, **more}
    return ChatOpenAI(**options)


def chat(model: str) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer in one sentence."), ("user", "What is {thing}?")]
    )
    answer = (prompt | connect(model)).invoke({"thing": "a gateway"})
    assert answer.content
    check_usage(answer.usage_metadata)


def check_usage(usage: Any) -> None:
    assert usage is not None
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


def stream(model: str) -> None:
    pieces = list(connect(model).stream("Count to five.", stream_usage=True))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert whole.content
    check_usage(whole.usage_metadata)


def tools(model: str) -> None:
    """The loop of an agent: call the tool, hand back its result, get an answer in words."""
    llm = connect(model)
    history: list[Any] = [HumanMessage("get_weather of Oslo, please.")]
    asked = llm.bind_tools([get_weather], tool_choice="get_weather").invoke(history)
    history.append(asked)
    for call in asked.tool_calls:
        result = get_weather.invoke(call)
        assert isinstance(result, ToolMessage)
        history.append(result)
    assert len(history) > 2
    assert llm.bind_tools([get_weather]).invoke(history).content


def structured(model: str) -> None:
    # By a function this client asks for no parallel calls, which Gemini cannot promise.
    methods: list[Any] = ["json_schema", "function_calling"]
    for method in methods[:1] if model.startswith("gemini") else methods:
        llm = connect(model).with_structured_output(Recipe, method=method)
        assert isinstance(llm.invoke("A recipe, please."), Recipe)


def responses(model: str) -> None:
    llm = connect(model, use_responses_api=True, store=False)
    answer = llm.invoke("Hello!")
    assert answer.text
    check_usage(answer.usage_metadata)


def embeddings() -> None:
    # With the length check on, this client first downloads a tokenizer from the internet.
    made = OpenAIEmbeddings(
        model="text-embedding-3-small", check_embedding_ctx_length=False, **ACCESS
    )
    one, two = made.embed_documents(["one", "two"])
    assert one != two
    assert len(made.embed_query("three")) == len(one) > 10


def errors() -> None:
    try:
        connect("gpt-4o-minni").invoke("Hello!")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    else:
        raise AssertionError("an unknown model was answered")
    try:
        connect("gpt-4o-mini", api_key="not-a-key").invoke("Hello!")
    except openai.AuthenticationError as error:
        assert error.status_code == 401
    else:
        raise AssertionError("a wrong key was answered")


def main() -> None:
    for family, model in (
        ("", "gpt-4o-mini"),
        ("claude ", "claude-haiku-4-5"),
        ("gemini ", "gemini-2.5-flash"),
    ):
        for use in (chat, stream, tools, structured):
            use(model)
            print(f"{family}{use.__name__} ok", flush=True)
    responses("claude-haiku-4-5")
    print("responses ok")
    embeddings()
    print("embeddings ok")
    errors()
    print("errors ok")


if __name__ == "__main__":
    main()
