"""Calls of Bedrock: addresses, headers, signatures; the whole way is in mock/test_bedrock.py."""

import orjson
import pytest

from config.errors import ConfigError
from proxy.providers.bedrock import ChatToConverse, ConverseCalls

MODEL = "us.anthropic.claude-sonnet-4-20250514-v1:0"
PAIR = "AKIAIOSFODNN7EXAMPLE:secret"


def test_the_public_address_of_a_region() -> None:
    calls = ConverseCalls(api_key="bedrock-api-key-abc", region="eu-west-1")
    call = calls.prepare(MODEL, {"messages": []}, is_streaming=False, now_us=0)
    assert call.url == (
        "https://bedrock-runtime.eu-west-1.amazonaws.com"
        "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse"
    )
    assert call.headers["Authorization"] == "Bearer bedrock-api-key-abc"
    assert orjson.loads(call.body) == {"messages": []}
    assert "bedrock-api-key" not in repr(call)
    china = ConverseCalls(api_key="k", region="cn-north-1")
    call = china.prepare("m", {}, is_streaming=True, now_us=0)
    assert call.url.endswith(".cn-north-1.amazonaws.com.cn/model/m/converse-stream")
    assert call.headers["Accept"] == "application/vnd.amazon.eventstream"


def test_an_arn_stays_one_segment_of_the_path() -> None:
    calls = ConverseCalls(api_key=PAIR, region="us-east-1", base_url="http://127.0.0.1:1/")
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc/../x"
    call = calls.prepare(arn, {}, is_streaming=False, now_us=0)
    assert call.url.startswith("http://127.0.0.1:1/model/arn%3Aaws%3A")
    assert call.url.count("/") == 5


def test_each_attempt_is_signed_anew() -> None:
    calls = ConverseCalls(api_key=f"{PAIR}:token", region="us-east-1")
    first, second = (
        calls.prepare(MODEL, {}, is_streaming=False, now_us=at) for at in (10**15, 10**15 + 10**6)
    )
    assert first.headers["X-Amz-Date"] != second.headers["X-Amz-Date"]
    assert first.headers["Authorization"] != second.headers["Authorization"]
    assert first.headers["X-Amz-Security-Token"] == "token"
    assert "/us-east-1/bedrock/aws4_request" in first.headers["Authorization"]


def test_a_region_is_needed() -> None:
    with pytest.raises(ConfigError, match="no region"):
        ConverseCalls(api_key=PAIR, region="")


def test_ids_and_times_come_from_outside() -> None:
    translator = ChatToConverse(lambda: 5, lambda: "chatcmpl-x")
    document = {"output": {"message": {"role": "assistant", "content": []}}}
    answer = translator.answer(document, {"model": "public"})
    assert (answer["id"], answer["created"], answer["model"]) == ("chatcmpl-x", 5, "public")
