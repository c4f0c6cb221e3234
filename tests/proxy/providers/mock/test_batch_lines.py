"""Lines of a batch: hostile input is refused, never a crash."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.mock.batch_lines import answer_lines, read_lines
from proxy.providers.mock.errors import MockError
from tests.proxy.providers.mock.server import BODY

CHAT = "/v1/chat/completions"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(MockError):
        read_lines(content, CHAT)


def test_azures_short_url_and_streams() -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/chat/completions", "body": BODY}
    streamed = {**line, "custom_id": "b", "body": {**BODY, "stream": True}}
    lines = read_lines(orjson.dumps(line) + b"\n\n" + orjson.dumps(streamed), CHAT)
    outcome = answer_lines(lines, CHAT)
    assert outcome.counts() == {"total": 2, "completed": 1, "failed": 1}
    assert outcome.model == "gpt-4o"
    usage = orjson.loads(outcome.output)["response"]["body"]["usage"]
    assert outcome.buckets.prompt_tokens() == usage["prompt_tokens"]
    assert outcome.buckets.completion_tokens() == usage["completion_tokens"]
