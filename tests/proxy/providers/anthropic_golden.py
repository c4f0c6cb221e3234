"""Reads the golden files of Anthropic's dialect: published payloads and what they translate to."""

from pathlib import Path
from typing import Any

import orjson

GOLDEN = Path(__file__).parent / "golden" / "anthropic"


def golden(prefix: str) -> list[str]:
    """Return the names of the files of one kind."""
    return sorted(path.stem for path in GOLDEN.glob(f"{prefix}_*.json"))


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads((GOLDEN / f"{name}.json").read_bytes())
    assert document["origin"]
    return document


def messages_stream(events: list[dict[str, Any]], line_end: bytes = b"\n") -> bytes:
    """Write events the way Anthropic does."""
    return b"".join(
        b"event: %b%bdata: %b%b" % (e["type"].encode(), line_end, orjson.dumps(e), line_end * 2)
        for e in events
    )


def chat_stream(chunks: list[Any]) -> bytes:
    """Write chunks the way OpenAI does; a string is not JSON but itself."""
    return b"".join(
        b"data: %b\n\n" % (chunk.encode() if isinstance(chunk, str) else orjson.dumps(chunk))
        for chunk in chunks
    )


def parse_chat_stream(data: bytes) -> list[Any]:
    """Return the chunks of a stream that is whole; "[DONE]" as a string."""
    assert data == b"" or data.endswith(b"\n\n")
    payloads = [event.removeprefix(b"data: ") for event in data.split(b"\n\n") if event]
    return ["[DONE]" if data == b"[DONE]" else orjson.loads(data) for data in payloads]


def parse_messages_stream(data: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream; the name of each must be its type."""
    events = []
    for event in data.split(b"\n\n"):
        if event:
            name, _, payload = event.partition(b"\ndata: ")
            document = orjson.loads(payload)
            assert name == b"event: " + document["type"].encode()
            events.append(document)
    return events
