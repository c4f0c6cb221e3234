"""A secret, or the name of a variable that holds it: taken as it is, and never quoted."""

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from config.secret_reference import Secret, refuse

SECRET: TypeAdapter[str] = TypeAdapter(Secret)


def test_a_secret_is_itself_or_a_variables() -> None:
    environ = {"KEY": " sk-1\n"}
    assert SECRET.validate_python("sk-2", context={"environ": environ}) == "sk-2"
    assert SECRET.validate_python("env:KEY", context={"environ": environ}) == "sk-1"


@pytest.mark.parametrize("value", ["env:UNSET", "env:", "two words", "k\u00e9y", "a\x00b"])
def test_what_is_none(value: str) -> None:
    with pytest.raises(ValidationError):
        SECRET.validate_python(value, context={"environ": {}})
    with pytest.raises(ValidationError):
        SECRET.validate_python("env:UNSET")


def test_a_refusal_reads_braces_as_text() -> None:
    error = refuse("{not} a placeholder", "leave it")
    assert isinstance(error, PydanticCustomError)
    assert error.message() == "{not} a placeholder"
