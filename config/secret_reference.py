"""A secret in apex.yaml: the text itself, or env:NAME for what the environment holds.

Used by the models of apex.yaml; what is refused is never quoted.
"""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

REFERENCE = "env:"


def refuse(message: str, hint: str) -> PydanticCustomError:
    """The error that config.validating shows with its hint."""
    # The text goes in as a value: pydantic reads braces in a template as placeholders.
    return PydanticCustomError("apex", "{text}", {"text": message, "hint": hint})


def _resolve_secret(value: str, info: ValidationInfo) -> str:
    """The secret itself, or that of the variable `env:NAME` names; fit for an HTTP header."""
    source = "the value"
    if value.startswith(REFERENCE):
        name = value.removeprefix(REFERENCE)
        source = f"the environment variable {name}"
        value = (info.context or {}).get("environ", {}).get(name, "").strip()
        if not value:
            raise refuse(f"{source} is not set", f"export {name}=... before starting the gateway")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise refuse(
            f"{source} holds a blank, a line break or a non-ASCII character",
            "a key is one word of plain ASCII: check for quotes or text pasted along with it",
        )
    return value


Secret = Annotated[str, AfterValidator(_resolve_secret)]
