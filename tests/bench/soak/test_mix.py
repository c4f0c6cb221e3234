"""The mix adds up, is the same in every run, and an answer is judged by its kind."""

import json
from collections import Counter

import pytest

from bench.soak.load import fault_of, is_expected
from bench.soak.mix import KINDS, Call, make_call

BY_NAME = {kind.name: kind for kind in KINDS}


def call(name: str) -> Call:
    return Call(BY_NAME[name], b"", {})


def test_the_shares_add_up_and_every_kind_is_sent() -> None:
    assert sum(kind.share for kind in KINDS) == 1000
    assert len(BY_NAME) == len(KINDS)
    sent = Counter(make_call(number).kind.name for number in range(4000))
    assert set(sent) == set(BY_NAME)
    assert 0.4 < sent["1 KB"] / 4000 < 0.54


def test_a_call_is_a_function_of_its_number() -> None:
    for number in range(200):
        one, other = make_call(number), make_call(number)
        assert (one.body, one.headers) == (other.body, other.headers)
        document = json.loads(one.body)
        text = document["messages"][0]["content"]
        assert len(text) == one.kind.prompt_bytes
        assert ("temperature" in document) == one.kind.is_hot
        assert document.get("stream", False) == one.kind.is_stream


def test_only_what_was_asked_before_repeats() -> None:
    bodies = Counter(make_call(number).body for number in range(4000))
    repeated = {body for body, times in bodies.items() if times > 1}
    assert repeated
    assert all(json.loads(body)["temperature"] == 0 for body in repeated)


@pytest.mark.parametrize(
    ("name", "status", "tail", "is_right"),
    [
        ("1 KB", 200, b'{"id": 1}', True),
        ("1 KB", 200, b'{"id": 1', False),
        ("1 KB", 503, b"{}", False),
        ("stream", 200, b"data: {}\n\ndata: [DONE]\n\n", True),
        ("stream", 200, b"data: {}\n\n", False),
        ("400", 400, b"{}", True),
        ("400", 200, b"{}", False),
        ("left early", 200, b"{}", True),
        ("left midway", 502, b"{}", False),
        ("flaky: 503", 503, b"{}", True),
    ],
)
def test_an_answer_is_judged_by_its_kind(
    name: str, status: int, tail: bytes, *, is_right: bool
) -> None:
    assert (not fault_of(call(name), status, tail)) == is_right


def test_a_call_that_hangs_is_never_right() -> None:
    assert is_expected(call("flaky: cut stream"), ConnectionResetError())
    assert not is_expected(call("flaky: cut stream"), TimeoutError())
    assert not is_expected(call("stream"), ConnectionResetError())
