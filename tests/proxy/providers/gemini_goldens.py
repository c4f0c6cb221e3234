"""The golden exchanges with Gemini, for the tests beside this file; golden/gemini/README.md."""

from pathlib import Path
from typing import Any

import orjson
import pytest

FOLDER = Path(__file__).parent / "golden" / "gemini"


def goldens(kind: str) -> list[Any]:
    """Return the exchanges of one kind as pytest parameters, each named by its file."""
    found = sorted((FOLDER / kind).glob("*.json"))
    assert found, f"no golden files in {FOLDER / kind}"
    return [pytest.param(orjson.loads(path.read_bytes()), id=path.stem) for path in found]


def golden(kind: str, name: str) -> dict[str, Any]:
    document = orjson.loads((FOLDER / kind / f"{name}.json").read_bytes())
    assert isinstance(document, dict)
    return document


def as_stream(events: list[Any], end: bytes = b"\r\n\r\n") -> bytes:
    """Write documents as the stream Google sends them in."""
    return b"".join(b"data: " + orjson.dumps(event) + end for event in events)


def read_stream(data: bytes) -> list[Any]:
    """Read a chat stream: its documents, and [DONE] as a text."""
    assert data == b"" or data.endswith(b"\n\n")
    found: list[Any] = []
    for event in data.split(b"\n\n")[:-1]:
        assert event.startswith(b"data: "), event
        text = event.removeprefix(b"data: ")
        found.append("[DONE]" if text == b"[DONE]" else orjson.loads(text))
    return found
