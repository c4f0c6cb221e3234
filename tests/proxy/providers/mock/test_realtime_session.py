"""A realtime session without its socket: bounds, and what is spent when it is cut."""

from typing import Any

import pytest

from proxy.providers.mock import realtime_session as bounds
from proxy.providers.mock.realtime_session import ClientEventError, RealtimeSession


def session() -> RealtimeSession:
    made = RealtimeSession("m", 5, lambda _: 0)
    take(made, {"type": "session.update", "session": {"output_modalities": ["text"], "id": "x"}})
    return made


def take(made: RealtimeSession, event: dict[str, Any]) -> list[dict[str, Any]]:
    return [sent.document for sent in made.take(event)]


def item(text: str, item_id: str | None = None) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    made = {"type": "message", "role": "user", "content": content, "id": item_id}
    return {"type": "conversation.item.create", "item": made}


def test_spent_grows_as_events_are_taken() -> None:
    made = session()
    assert made.document["id"] != "x"
    take(made, item("twelve chars"))
    events = made.take({"type": "response.create"})
    while next(events).document["type"] != "response.output_text.delta":
        pass
    next(events)
    assert (made.spent.input_tokens, made.spent.output_tokens) == (4, 2)
    assert made.is_responding
    done = [event.document for event in events][-1]
    assert done["response"]["usage"]["output_tokens"] == made.spent.output_tokens == 5
    assert not made.is_responding


def test_items_are_kept_retrieved_and_deleted() -> None:
    made = session()
    take(made, item("one", "a"))
    assert take(made, item("two", "b"))[0]["previous_item_id"] == "a"
    (retrieved,) = take(made, {"type": "conversation.item.retrieve", "item_id": "a"})
    assert retrieved["item"]["content"][0]["text"] == "one"
    with pytest.raises(ClientEventError, match="exists"):
        take(made, item("one", "a"))
    take(made, {"type": "conversation.item.delete", "item_id": "a"})
    with pytest.raises(ClientEventError, match="No such item"):
        take(made, {"type": "conversation.item.retrieve", "item_id": "a"})


def test_input_of_its_own_leaves_the_conversation_alone() -> None:
    made = session()
    take(made, item("one " * 100))
    asked = {"conversation": "none", "input": [item("four")["item"]]}
    done = take(made, {"type": "response.create", "response": asked})[-1]
    assert done["response"]["usage"]["input_tokens"] == 2  # a line end and four characters
    (answer,) = done["response"]["output"]
    with pytest.raises(ClientEventError):
        take(made, {"type": "conversation.item.retrieve", "item_id": answer["id"]})


def test_conversation_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ITEMS", 2)
    made = session()
    take(made, item("one"))
    take(made, item("two"))
    with pytest.raises(ClientEventError, match="too long"):
        take(made, item("three"))
    monkeypatch.setattr(bounds, "MAX_ITEMS", 100)
    monkeypatch.setattr(bounds, "MAX_CONTENT_CHARACTERS", 1000)
    with pytest.raises(ClientEventError, match="too long"):
        take(made, item("x" * 1000))


def test_audio_buffer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CONTENT_CHARACTERS", 1000)
    made = session()
    for _ in range(3):
        take(made, {"type": "input_audio_buffer.append", "audio": "A"})
    with pytest.raises(ClientEventError, match="full"):
        take(made, {"type": "input_audio_buffer.append", "audio": "A"})
    take(made, {"type": "input_audio_buffer.clear"})
    take(made, {"type": "input_audio_buffer.append", "audio": "AB"})
    committed, added, _ = take(made, {"type": "input_audio_buffer.commit"})
    assert added["item"]["id"] == committed["item_id"]
    assert added["item"]["content"][0]["audio"] == "AB"
