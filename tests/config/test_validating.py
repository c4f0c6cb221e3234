"""Pydantic's findings as errors that name the line and the near names."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.errors import ConfigError
from config.validating import describe_model, validate
from config.yaml_loading import parse_yaml


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: int = Field(default=1, description="How much.")
    is_on: bool = Field(default=True, description="Whether.")
    price: Decimal | None = Field(default=None, description="What it costs.")


def _reject(value: str) -> str:
    if value:
        raise ValueError("this {value} never fits")
    return value


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="The name.")
    inner: Inner = Field(default_factory=Inner, description="One.")
    by_name: dict[Annotated[str, Field(pattern="^[a-z]+$")], Inner] = Field(
        default_factory=dict, description="Many."
    )
    listed: tuple[Inner, ...] = Field(default=(), min_length=1, description="Some.")
    either: str | dict[str, Any] = Field(default="x", description="Either.")
    share: float = Field(default=0, le=1, description="Some.")
    word: Literal["one", "two"] = Field(default="one", description="One of two.")
    odd: UUID | None = Field(default=None, description="None of our types.")
    rejected: Annotated[str, AfterValidator(_reject)] | None = Field(default=None)


def refuse(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        validate(Outer, parse_yaml(text, "f"))
    return caught.value


def test_valid_document() -> None:
    outer = validate(Outer, parse_yaml("name: a\nlisted: [{weight: 2}]", "f"))
    assert outer.listed[0].weight == 2


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("nam: a\nname: a", "f:1: unknown key nam", "did you mean name"),
        ("name: a\ninner:\n  wieght: 1", "f:3: unknown key inner.wieght", "did you mean weight?"),
        (
            "name: a\nby_name:\n  a:\n    is_onn: 1",
            "f:4: unknown key by_name.a.is_onn",
            "did you mean is_on?",
        ),
        (
            "name: a\nlisted:\n- weigth: 1",
            "f:3: unknown key listed[0].weigth",
            "did you mean weight?",
        ),
        ("name: a\ninner: {zzzz: 1}", "f:2: unknown key inner.zzzz", "known names: is_on, price"),
        ("inner: {}", "f:1: name is missing", "add the key name"),
        ("name: 3", "f:1: name: must be text", "quotes"),
        ("name: a\ninner: [1]", "f:2: inner: must be a mapping", "indented"),
        ("name: a\nlisted: {}", "f:2: listed: must be a list", "brackets"),
        ("name: a\nlisted: []", "f:2: listed: is empty", "at least one"),
        ("name: a\ninner: {weight: many}", "f:2: inner.weight: must be a number", "digits"),
        ("name: a\ninner: {weight: 1.5}", "f:2: inner.weight: must be a whole", "decimals"),
        ("name: a\ninner: {is_on: maybe}", "f:2: inner.is_on: must be true or false", "true"),
        ("name: a\ninner: {price: cheap}", "f:2: inner.price: must be a number", "digits"),
        ("name: a\nby_name: {A1: {}}", "f:2: by_name.A1: does not look like a name", "pattern"),
        ("name: a\neither: 3", "f:2: either: must be text", "quotes"),
        ("name: a\nrejected: b", "f:2: rejected: this {value} never fits", "correct"),
        ("name: a\nshare: 2", "f:2: share: must be at most 1", "correct the number"),
        ("name: a\nword: thre", "f:2: word: must be 'one' or 'two'", "one of these"),
        ("name: a\nodd: 2026-01-01", "f:2: odd: has a value that cannot stand", "correct"),
        ("- a", "f:1: the document: must be a mapping", "indented"),
    ],
)
def test_refusals(text: str, message: str, hint: str) -> None:
    error = refuse(text)
    assert error.message.startswith(message)
    assert hint in error.hint


def test_several_problems_are_shown_together() -> None:
    error = refuse("inner: {weight: x, is_on: perhaps}\nzzz: 1")
    lines = error.message.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("f:1: name is missing (add the key name)")
    many = refuse("name: a\n" + "\n".join(f"k{number}: 1" for number in range(9)))
    assert many.message.splitlines()[-1] == "and 4 more"


def test_no_value_is_ever_shown() -> None:
    error = refuse("name: [sk-secret]\neither: [sk-secret]\nlisted: sk-secret")
    assert "sk-secret" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_describe() -> None:
    rows = describe_model(Outer)
    assert rows[:4] == [
        ("name", "required", "The name."),
        ("inner", "-", "One."),
        ("inner.weight", "1", "How much."),
        ("inner.is_on", "true", "Whether."),
    ]
    assert ("by_name.<name>.price", "none", "What it costs.") in rows
    assert ("listed[].weight", "1", "How much.") in rows
