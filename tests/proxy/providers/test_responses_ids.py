"""Every place of a Responses request that can name another tenant's object."""

from typing import Any

import orjson
import pytest

from proxy.providers.responses_ids import MOST_NAMED_IDS, ids_named_by


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({"input": "x", "model": "m", "prompt_cache_key": "k"}, []),
        ({"previous_response_id": "resp_1"}, [("response", "resp_1")]),
        ({"conversation": "conv_1"}, [("conversation", "conv_1")]),
        ({"conversation": {"id": "conv_1"}}, [("conversation", "conv_1")]),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, [("item", "msg_1")]),
        ({"input": [{"id": "msg_1"}, 7]}, [("item", "msg_1")]),
        ({"input": [{"id": "msg_1", "type": None}]}, [("item", "msg_1")]),
        ({"input": [{"id": "msg_1", "role": "user", "content": "x"}]}, []),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            [("file", "file-1")],
        ),
        (
            {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]},
            [("vector_store", "vs_1"), ("vector_store", "vs_2")],
        ),
        (
            {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
            [("container", "cntr_1")],
        ),
        (
            {"tools": [{"container": {"type": "auto", "file_ids": ["file-1"]}}]},
            [("file", "file-1")],
        ),
        (
            {"input": [{"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}]},
            [("container", "cntr_1")],
        ),
        (
            {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]},
            [("file", "file-1")],
        ),
        (
            {"prompt": {"id": "pmpt_1", "variables": {"a": {"file_id": "file-1"}}}},
            [("file", "file-1")],
        ),
        ({"metadata": {"file_id": "mine"}, "tools": [{"parameters": {"file_id": "p"}}]}, []),
        ({"previous_response_id": None, "conversation": 7, "tools": [{"file_ids": [7, ""]}]}, []),
    ],
)
def test_ids(doc: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = sorted((named.kind, named.name) for named in ids_named_by(doc))
    assert found == expected


def test_each_id_is_told_once_with_the_field_to_blame() -> None:
    part = {"type": "input_file", "file_id": "file-1"}
    [named] = ids_named_by({"input": [{"content": [part, part]}]})
    assert named.param == "file_id"


def test_too_many_are_told_apart_from_all_and_depth_does_no_harm() -> None:
    ids = [f"file-{number}" for number in range(MOST_NAMED_IDS + 100)]
    assert len(ids_named_by({"file_ids": ids})) == MOST_NAMED_IDS + 1
    deep = b'{"input":' + b"[" * 900 + b'{"file_id":"file-1"}' + b"]" * 900 + b"}"
    assert len(ids_named_by(orjson.loads(deep))) == 1
