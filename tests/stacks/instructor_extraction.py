"""What an app on instructor does: typed answers, over OpenAI's client and over Anthropic's.

Started by tests/e2e/test_stacks.py. Only base_url and the key are the gateway's.
"""

import os
from typing import Any

import anthropic
import instructor
import openai
from pydantic import BaseModel

KEY = os.environ["GATEWAY_KEY"]
ASK: Any = {"messages": [{"role": "user", "content": "A recipe of one pot, please."}]}


class Step(BaseModel):
    """One step of the recipe."""

    text: str
    minutes: int


class Recipe(BaseModel):
    """What the structured answers must be."""

    dish: str
    steps: list[Step]


def connect(mode: instructor.Mode, key: str = KEY) -> Any:
    client = openai.OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=key, max_retries=0)
    return instructor.from_openai(client, mode=mode)


def structured(model: str) -> None:
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
        recipe, whole = connect(mode).chat.completions.create_with_completion(
            model=model, response_model=Recipe, max_retries=1, **ASK
        )
        assert isinstance(recipe, Recipe)
        assert whole.usage.completion_tokens > 0


def stream(model: str) -> None:
    """The answer grows field by field, at a Gemini in one step; the last state is whole."""
    client = connect(instructor.Mode.TOOLS)
    states = list(client.chat.completions.create_partial(model=model, response_model=Recipe, **ASK))
    assert len(states) > 1 or model.startswith("gemini")
    assert Recipe.model_validate(states[-1].model_dump())


def messages(model: str) -> None:
    client = anthropic.Anthropic(base_url=os.environ["BASE_URL"], api_key=KEY, max_retries=0)
    typed: Any = instructor.from_anthropic(client)
    recipe = typed.messages.create(model=model, max_tokens=2000, response_model=Recipe, **ASK)
    assert isinstance(recipe, Recipe)


def errors() -> None:
    """The failures of the transport come out as the client's own."""
    client = connect(instructor.Mode.TOOLS, key="not-a-key")
    try:
        client.chat.completions.create(
            model="gpt-4o-mini", response_model=Recipe, max_retries=0, **ASK
        )
    except Exception as error:  # noqa: BLE001  its own class, around the client's
        assert "401" in str(error), error
        return
    raise AssertionError("a wrong key was answered")


def main() -> None:
    for family, model in (
        ("", "gpt-4o-mini"),
        ("claude ", "claude-haiku-4-5"),
        ("gemini ", "gemini-2.5-flash"),
    ):
        for use in (structured, stream):
            use(model)
            print(f"{family}{use.__name__} ok", flush=True)
    messages("claude-haiku-4-5")
    print("messages ok")
    errors()
    print("errors ok")


if __name__ == "__main__":
    main()
