"""Which objects a request refers to, and who may."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from config.clock import Clock
from proxy.errors import GatewayError
from proxy.resources.ownership import Owner, OwnershipMap
from proxy.resources.references import check_references, may_refer, owned, references_in

DEEP: Any = {"input": []}
for _ in range(100):
    DEEP = {"input": [DEEP]}

REFERRING = [
    ({"previous_response_id": "resp_1"}, ["resp_1"]),
    ({"conversation": "conv_1"}, ["conv_1"]),
    ({"conversation": {"id": "conv_1"}}, ["conv_1", "conv_1"]),
    ({"input": [{"id": "msg_1"}]}, ["msg_1"]),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, ["msg_1"]),
    ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, ["rs_1"]),
    ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]}, ["vs_1", "vs_2"]),
    ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, ["cntr_1"]),
    ({"tools": [{"container": {"type": "auto", "file_ids": ["file-1"]}}]}, ["file-1"]),
    ({"messages": [{"content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}, ["file-1"]),
    ({"input_file_id": "file-1", "endpoint": "/v1/chat/completions"}, ["file-1"]),
    ({"training_file": "file-1", "validation_file": "file-2"}, ["file-1", "file-2"]),
    ({"cachedContent": "cachedContents/1"}, ["cachedContents/1"]),
    (
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
        ["https://generativelanguage.googleapis.com/v1beta/files/a"],
    ),
    ({"source": {"type": "file", "file_id": "file_011"}}, ["file_011"]),
]
INNOCENT: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "file_id: file-1"}]},
    {"metadata": {"file_id": "file-1"}},
    {"prompt": {"id": "pmpt_1", "version": "2"}},
    {"tools": [{"function": {"parameters": {"properties": {"file_id": {"type": "string"}}}}}]},
    {"messages": [{"content": [{"type": "tool_use", "input": {"file_id": "file-1"}}]}]},
    {"conversation": "auto", "container": {"type": "auto"}},
    {"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}]},
    {"input": [{"type": "message", "id": "msg_1", "role": "assistant", "content": []}]},
    {"fileData": {"fileUri": "https://example.com/files/a"}},
    {"image_url": {"url": "https://storage.googleapis.com/bucket/a.png"}},
    {"file_id": None, "vector_store_ids": []},
]


@pytest.mark.parametrize(("document", "ids"), REFERRING)
def test_every_way_to_refer_to_an_object_is_seen(document: dict[str, Any], ids: list[str]) -> None:
    assert [each for _, each in references_in(document)] == ids
    endpoint = "responses" if "input" in document else "chat"
    assert may_refer(endpoint, document, orjson.dumps(document))


@pytest.mark.parametrize("document", INNOCENT)
def test_what_a_provider_does_not_look_up_is_no_reference(document: dict[str, Any]) -> None:
    assert list(references_in(document)) == []


def test_escaped_names_are_looked_into() -> None:
    escaped = b'{"file\\u005fid": "file-1", "extra": {}}'
    assert may_refer("chat", orjson.loads(escaped), escaped)
    plain = {"messages": [{"role": "user", "content": "hello, my file_id"}], "seed": 1}
    assert not may_refer("chat", plain, orjson.dumps(plain))


def test_endless_nesting_and_endless_lists_are_refused(tmp_path: Path) -> None:
    ownership = OwnershipMap(tmp_path / "map.jsonl", Clock())
    with pytest.raises(GatewayError, match="nested"):
        list(references_in(DEEP))
    ownership.claim(["file-1"], Owner("acme", "openai"))
    with pytest.raises(GatewayError, match="Too many"):
        check_references({"file_ids": ["file-1"] * 1001}, "acme", ownership)


def test_objects_of_others_and_of_nobody_look_the_same(tmp_path: Path) -> None:
    ownership = OwnershipMap(tmp_path / "map.jsonl", Clock())
    ownership.claim(["file-a"], Owner("acme", "openai"))
    ownership.claim(["file-g"], Owner("globex", "openai"))
    found = check_references({"file_id": "file-a"}, "acme", ownership)
    assert found == Owner("acme", "openai")
    answers = []
    for object_id in ("file-g", "file-x"):
        with pytest.raises(GatewayError) as caught:
            owned(object_id, "acme", ownership, "file_id")
        answers.append((caught.value.status, caught.value.message.replace(object_id, "_")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_objects_of_two_upstreams_cannot_meet(tmp_path: Path) -> None:
    ownership = OwnershipMap(tmp_path / "map.jsonl", Clock())
    ownership.claim(["file-1"], Owner("acme", "one"))
    ownership.claim(["file-2"], Owner("acme", "two"))
    with pytest.raises(GatewayError) as caught:
        check_references({"file_ids": ["file-1", "file-2"]}, "acme", ownership)
    assert caught.value.status == 400
