"""Counts tokens with tiktoken, offline: the only importer of it, and only when first asked.

Called by ledger.estimates on a thread. The encodings are files in litellm's wheel, which is looked
up and never imported.
"""

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

# Encoding -> its file beside litellm's own; tiktoken looks for it under this very name.
FILES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
STAND_IN = "cl100k_base"
# Checked in this order. What OpenAI has not published an encoding for is counted by a stand-in.
_FAMILIES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|gpt-oss|o[134])(?![0-9])"), "o200k_base"),
    (re.compile(r"gpt-(4|3\.5|35)(?![0-9.])"), "cl100k_base"),
    (re.compile(r"text-embedding-(3|ada-002)"), "cl100k_base"),
    (re.compile(r"(davinci|babbage)-002"), "cl100k_base"),
)
# A long run without blanks costs its square to merge: a slice bounds that, and adds at most a
# token where it cuts.
SLICE_CHARACTERS = 1024


class EncodingMissingError(Exception):
    """The files of the encodings are not installed; nothing is fetched in their place."""


@dataclass(frozen=True, slots=True)
class EncodingChoice:
    """Which encoding counts a model's tokens; not exact where it is only a stand-in."""

    name: str
    is_exact: bool


def encoding_of(model: str) -> EncodingChoice:
    """By family: OpenAI's models by the encoding they use, every other vendor's by a stand-in."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    for pattern, encoding in _FAMILIES:
        if pattern.match(name):
            return EncodingChoice(encoding, is_exact=True)
    return EncodingChoice("o200k_base" if name.startswith("gpt-") else STAND_IN, is_exact=False)


class TokenCounter:
    """Loads each encoding once; not for two threads at a time."""

    def __init__(self) -> None:
        self._encodings: dict[str, Encoding] = {}

    def count(self, text: str, encoding: str) -> int:
        """Tokens of a text; special tokens are read as plain text. EncodingMissingError."""
        if not text:
            return 0
        found = self._encodings.get(encoding) or self._load(encoding)
        slices = range(0, len(text), SLICE_CHARACTERS)
        return sum(len(found.encode_ordinary(text[at : at + SLICE_CHARACTERS])) for at in slices)

    def _load(self, name: str) -> "Encoding":
        directory = _find_directory()
        if not (directory / FILES[name]).is_file():
            raise EncodingMissingError(f"no file of {name} in {directory}")
        # tiktoken takes its directory from nowhere else, and would fetch what it does not find.
        os.environ["TIKTOKEN_CACHE_DIR"] = str(directory)  # noqa: TID251
        from tiktoken import get_encoding  # noqa: PLC0415  only the worker needs it, and seldom

        self._encodings[name] = get_encoding(name)
        return self._encodings[name]


def _find_directory() -> Path:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise EncodingMissingError("litellm is not installed, whose wheel holds the encodings")
    return Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
