"""The demo's requests: what the committed cut holds, and that both policies get the same."""

import json
from collections import Counter

import pytest

from bench.demo.workload import CHAT, LOOKUP, Call, load_calls
from proxy.providers.mock.completions import read_chat_request


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return load_calls()


def question_of(call: Call) -> str:
    document = json.loads(call.body)
    return json.dumps([document["model"], document["messages"]])


def test_there_are_five_thousand_a_third_of_them_streamed(calls: list[Call]) -> None:
    assert len(calls) == 5000
    assert sum(call.is_streaming for call in calls) == 1667
    assert [call.at_s for call in calls] == sorted(call.at_s for call in calls)
    assert 3500 < calls[-1].at_s < 3600
    assert Counter(call.app for call in calls) == {CHAT: 3474, LOOKUP: 1526}


def test_the_same_data_give_the_same_bytes(calls: list[Call]) -> None:
    assert load_calls(200) == calls[:200]


def test_the_mock_counts_the_tokens_of_the_trace(calls: list[Call]) -> None:
    # The first arrivals of the published trace: 374, 396 and 879 context tokens.
    tokens = [read_chat_request(call.body).prompt.tokens for call in calls]
    assert tokens[0] == 374
    assert calls[0].generated_tokens == 44
    assert max(tokens) == 4096
    for call, count in zip(calls, tokens, strict=True):
        pace_ms = 400 + 15 * call.generated_tokens
        context = round((call.pace_ms - pace_ms) / 0.1)
        # Short ones cannot hold the question, which is never cut.
        assert count == context or (context < 400 and count > context)


def test_prompts_repeat_as_often_as_the_trace_says(calls: list[Call]) -> None:
    repeats: Counter[str] = Counter()
    seen: set[str] = set()
    for call in calls:
        question = question_of(call)
        repeats[call.app] += question in seen
        seen.add(question)
    assert repeats[CHAT] == 25  # of 3,474: whole requests that Mooncake saw again
    assert 0.2 < repeats[LOOKUP] / 1526 < 0.3


def test_chats_share_prefixes_and_not_more(calls: list[Call]) -> None:
    texts = [json.loads(call.body)["messages"][1]["content"] for call in calls if call.app == CHAT]
    blocks = [tuple(text[start : start + 256] for start in range(0, len(text) - 255, 256))
              for text in texts]  # fmt: skip
    assert len({each[0] for each in blocks if each}) == 1  # the system prompt of all of them
    seen: set[tuple[str, ...]] = set()
    reused = total = 0
    for each in blocks:
        prefixes = [each[: end + 1] for end in range(len(each))]
        reused += sum(prefix in seen for prefix in prefixes)
        total += len(prefixes)
        seen.update(prefixes)
    # origins.py says so: Mooncake reuses more, but the lengths here are Azure's.
    assert round(reused / total, 2) == 0.18


def test_what_asks_for_one_answer(calls: list[Call]) -> None:
    for call in calls[:500]:
        document = json.loads(call.body)
        asks = document.get("temperature") == 0 or "seed" in document
        assert asks == call.is_deterministic
        assert "temperature" not in document or not call.model.startswith("gpt-5")
