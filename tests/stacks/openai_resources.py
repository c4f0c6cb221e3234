"""Everything of openai-python that is no chat: files, batches, images, audio, moderations.

Started by tests/e2e/test_stacks.py, with version 2 and version 3 of the client.
"""

import base64
import io
import json
import os
from typing import Any

import openai

client = openai.OpenAI(
    base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["GATEWAY_KEY"], max_retries=0
)
PNG = b"\x89PNG\r\n\x1a\n"


def files() -> None:
    """Upload, find again, read back, delete; afterwards it is gone."""
    content = b'{"note": "kept as it is"}\n'
    made = client.files.create(file=("note.jsonl", content), purpose="batch")
    assert made.bytes == len(content)
    assert made.id in [item.id for item in client.files.list()]
    assert client.files.retrieve(made.id).filename == "note.jsonl"
    assert client.files.content(made.id).read() == content
    assert client.files.delete(made.id).deleted
    try:
        client.files.retrieve(made.id)
    except openai.NotFoundError:
        return
    raise AssertionError("the deleted file is still there")


def batches() -> None:
    lines = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": question(name)}
        for name in ("one", "two")
    ]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    sent = client.files.create(file=("batch.jsonl", content), purpose="batch")
    batch = client.batches.create(
        input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    for _ in range(10):  # each look takes it a step further
        if batch.status in {"completed", "failed", "expired"}:
            break
        batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.id in [item.id for item in client.batches.list()]
    assert batch.output_file_id
    told = [json.loads(line) for line in client.files.content(batch.output_file_id).iter_lines()]
    assert {line["custom_id"] for line in told} == {"one", "two"}
    for line in told:
        assert line["response"]["body"]["choices"][0]["message"]["content"]


def question(text: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}


def images() -> None:
    made = client.images.generate(model="gpt-image-1", prompt="A quiet harbour", quality="low")
    picture = base64.b64decode((made.data or [])[0].b64_json or "")
    assert picture.startswith(PNG)
    assert made.usage is not None
    assert made.usage.output_tokens > 0
    changed = client.images.edit(
        model="gpt-image-1", image=("harbour.png", picture, "image/png"), prompt="At night"
    )
    assert base64.b64decode((changed.data or [])[0].b64_json or "").startswith(PNG)


def audio() -> None:
    """Speech, whole and as it is made; then the recording is heard."""
    spoken = client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Good morning.", response_format="wav"
    ).read()
    assert spoken
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Good morning.", response_format="wav"
    ) as streamed:
        assert b"".join(streamed.iter_bytes()) == spoken
    recording = io.BytesIO(spoken)
    recording.name = "morning.wav"
    assert client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording).text


def moderations() -> None:
    answer = client.moderations.create(model="omni-moderation-latest", input="Good morning.")
    assert not answer.results[0].flagged


def main() -> None:
    for use in (files, batches, images, audio, moderations):
        use()
        print(f"{use.__name__} ok", flush=True)


if __name__ == "__main__":
    main()
