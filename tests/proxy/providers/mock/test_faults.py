"""The x-mock-* headers: reading them, failing only the first attempts, and their documentation."""

import re
from pathlib import Path

import aiohttp
import pytest

import proxy.providers.mock.app as mock_app
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.faults import (
    HEADERS,
    HEALTHY,
    MAX_KEYS,
    PREFIX,
    FailedAttempts,
    FaultPlan,
    read_plan,
)
from tests.proxy.providers.mock.server import BODY, MockServer

DOCUMENT = Path(__file__).parents[4] / "docs" / "mock-provider.md"


def test_no_header_is_healthy() -> None:
    assert read_plan({"Accept": "*/*"}) is HEALTHY


def test_headers_are_read_whatever_their_case() -> None:
    plan = read_plan({"X-Mock-Token-Ms": "2.5", "x-mock-garbage": "html", "x-mock-silence": "1"})
    assert plan == FaultPlan(token_ms=2.5, garbage="html", silence="start")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-mock-latency-ms", "soon"),
        ("x-mock-latency-ms", "-1"),
        ("x-mock-latency-ms", "nan"),
        ("x-mock-status", "200"),
        ("x-mock-garbage", "xml"),
        ("x-mock-reset", "maybe"),
        ("x-mock-output-tokens", "1e9"),
        ("x-mock-output-tokens", "9999999"),
        ("x-mock-unknown", "1"),
    ],
)
def test_malformed_headers_are_refused(name: str, value: str) -> None:
    with pytest.raises(MockError, match=name):
        read_plan({name: value})


def test_each_header_is_documented() -> None:
    documented = set(re.findall(rf"^\| `{PREFIX}([a-z-]+)`", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == set(HEADERS)
    in_module = set(re.findall(rf"^    {PREFIX}([a-z-]+) ", mock_app.__doc__ or "", re.MULTILINE))
    assert in_module == set(HEADERS)


async def test_first_attempts_fail_then_succeed(mock: MockServer) -> None:
    asked = {"fail_first": "2", "status": "503", "key": "one"}
    statuses = [(await mock.post(BODY, **asked))[0] for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    other = {**asked, "key": "two"}
    assert (await mock.post(BODY, **other))[0] == 503


async def test_without_a_key_the_body_is_the_key(mock: MockServer) -> None:
    statuses = [(await mock.post(BODY, fail_first="1"))[0] for _ in range(2)]
    assert statuses == [500, 200]
    assert (await mock.post({**BODY, "seed": 1}, fail_first="1"))[0] == 500


def test_kept_keys_are_bounded() -> None:
    attempts = FailedAttempts()
    for number in range(MAX_KEYS + 1):
        attempts.settle(FaultPlan(fail_first=1, key=str(number)), b"")
    assert attempts.settle(FaultPlan(fail_first=1, key="1"), b"") == HEALTHY
    assert attempts.settle(FaultPlan(fail_first=1, key="0"), b"").status == 500


async def test_reset(mock: MockServer) -> None:
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await mock.post(BODY, reset="1")
    assert await mock.get("/mock/bill") == []


async def test_statuses_have_their_types(mock: MockServer) -> None:
    found = {}
    for status in ("400", "401", "404", "429", "500", "503", "529"):
        got, answer = await mock.post(BODY, status=status)
        assert got == int(status)
        found[status] = (answer["error"]["type"], answer["error"]["code"])
    assert found["404"] == ("invalid_request_error", "model_not_found")
    assert found["429"] == ("requests", "rate_limit_exceeded")
    assert {found[status][0] for status in ("500", "503", "529")} == {"server_error"}
