"""SigV4: AWS's published vectors, and botocore's signer as the second opinion."""

import datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.bedrock_signing import KeyPair, Scope, read_key_pair, signed_headers

# Origin: AWS's Signature Version 4 test suite; the keys are its example, the time its date.
KEYS = KeyPair("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SCOPE = Scope("us-east-1", "service")
NOW_US = 1_440_938_160 * 1_000_000  # 2015-08-30T12:36:00Z
URL = "https://example.amazonaws.com/"


def signature_of(url: str, headers: dict[str, str], body: bytes) -> str:
    signed = signed_headers(url, headers, body, KEYS, SCOPE, NOW_US)
    return signed["Authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("name", "url", "headers", "body", "signature"),
    [
        (
            "post-vanilla", URL, {}, b"",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-vanilla-query", f"{URL}?Param1=value1", {}, b"",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-x-www-form-urlencoded", URL,
            {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)  # fmt: skip
def test_the_published_vectors(
    name: str, url: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    assert signature_of(url, headers, body) == signature, name


MODELS = st.sampled_from(
    [
        "anthropic.claude-sonnet-4-20250514-v1%3A0",
        "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa.b~c",
    ]
)


@given(MODELS, st.binary(max_size=40), st.sampled_from(["", "token/+=="]))
def test_botocore_signs_alike(model: str, body: bytes, token: str) -> None:
    url = f"https://bedrock-runtime.eu-west-1.amazonaws.com/model/{model}/converse"
    headers = {"Content-Type": "application/json", "Accept": "a/b"}
    keys = KeyPair(KEYS.access_key_id, KEYS.secret, token)
    ours = signed_headers(url, headers, body, keys, Scope("eu-west-1"), NOW_US)
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    signer = SigV4Auth(
        Credentials(keys.access_key_id, keys.secret, token or None), "bedrock", "eu-west-1"
    )
    time = datetime.datetime.fromtimestamp(NOW_US / 1e6, datetime.UTC)
    request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["Authorization"].endswith(f"Signature={signer.signature(text, request)}")
    assert ours.get("X-Amz-Security-Token", "") == token


def test_an_api_key_is_a_pair_or_a_bearer_key() -> None:
    pair = read_key_pair("AKIAIOSFODNN7EXAMPLE:wJal/bPx+Rfi")
    assert pair == KeyPair("AKIAIOSFODNN7EXAMPLE", "wJal/bPx+Rfi")
    assert read_key_pair("ASIAIOSFODNN7EXAMPLE:secret:Ses/sion==") == KeyPair(
        "ASIAIOSFODNN7EXAMPLE", "secret", "Ses/sion=="
    )
    for bearer in ("bedrock-api-key-YmVk", "ABSKQmVkcm9ja0FQSUtleQ==", "", "short:secret"):
        assert read_key_pair(bearer) is None
    assert "secret" not in repr(KeyPair("A", "secret", "secret"))
