"""The admin API of a whole gateway: what was answered is in the next answer here."""

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from admin_api.routes.usage import GROUPS
from tests.gateway import ACME_CONFIG, Gateway

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests here; none of them changes what another counts."""
    started = Gateway(tmp_path_factory.mktemp("gateway"), config=ACME_CONFIG)
    with asyncio.Runner() as runner:
        runner.run(started.start())
        try:
            yield started
        finally:
            runner.run(started.stop())


async def chat(gateway: Gateway, tag: str, model: str = "gpt-4o-mini", **fields: object) -> str:
    """The request id of one answered call."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}
    headers = {"Authorization": f"Bearer {gateway.api_key}", "x-apex-tags": f"test={tag}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers) as reply,
    ):
        await reply.read()
        return reply.headers["x-apex-request-id"]


async def test_a_request_is_known_the_moment_it_was_answered(gateway: Gateway) -> None:
    for _ in range(5):
        request_id = await chat(gateway, "known")
        status, detail = await gateway.admin(f"/admin/v1/requests/{request_id}")
        assert status == 200
        assert detail["request_id"] == request_id
        assert detail["is_complete"]
        assert [event["kind"] for event in detail["events"]] == ["start", "end"]
        assert detail["events"][1]["outcome"] == "ok"


async def test_an_unknown_request_is_404(gateway: Gateway) -> None:
    status, problem = await gateway.admin("/admin/v1/requests/nope")
    assert status == 404
    assert "x-apex-request-id" in problem["hint"]


@pytest.mark.parametrize("group_by", GROUPS)
async def test_every_dimension_adds_up(gateway: Gateway, group_by: str) -> None:
    await chat(gateway, f"group-{group_by}", temperature=0)
    status, usage = await gateway.admin(f"/admin/v1/usage?group_by={group_by}")
    assert status == 200
    assert usage["rows"]
    assert all(group_by in row for row in usage["rows"])
    total = sum(row["requests"] for row in usage["rows"])
    assert total == usage["totals"]["requests"] > 0


async def test_the_default_is_by_model_and_a_tag_finds_its_requests(gateway: Gateway) -> None:
    for _ in range(3):
        await chat(gateway, "by-tag")
    _, usage = await gateway.admin("/admin/v1/usage")
    assert "gpt-4o-mini" in {row["model"] for row in usage["rows"]}
    _, usage = await gateway.admin("/admin/v1/usage?group_by=tag")
    [row] = [row for row in usage["rows"] if row["tag"] == "test=by-tag"]
    assert row["requests"] == 3


async def test_a_period_is_half_open_and_in_utc(gateway: Gateway) -> None:
    await chat(gateway, "period")
    for query, has_any in (
        ("from=2020-01-01", True),
        ("from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00+02:00", True),
        ("to=2020-01-01", False),
        ("from=2100-01-01", False),
    ):
        status, usage = await gateway.admin(f"/admin/v1/usage?{query}")
        assert status == 200
        assert bool(usage["totals"]["requests"]) is has_any


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("group_by=modle", "invalid_query", "did you mean model?"),
        ("group_by=", "invalid_query", f"group_by is one of {', '.join(GROUPS)}"),
        ("groupby=model", "invalid_query", "did you mean group_by?"),
        ("from=yesterday", "invalid_period", "2026-11-01"),
        ("from=2026-02-31", "invalid_period", "2026-11-01"),
        ("from=2026-02-01&to=2026-01-01", "invalid_period", "half-open"),
    ],
)
async def test_a_bad_question_says_how_to_ask(
    gateway: Gateway, query: str, code: str, said: str
) -> None:
    status, problem = await gateway.admin(f"/admin/v1/usage?{query}")
    assert status == (400 if code == "invalid_period" else 422)
    assert problem["code"] == code
    assert said in problem["hint"]


async def test_log_store_and_bill_agree(gateway: Gateway) -> None:
    for number in range(5):
        await chat(gateway, "conservation", seed=number)
    status, report = await gateway.admin("/admin/v1/conservation")
    assert status == 200
    assert report["is_exact"], report["rows"]
    assert report["starts"] == report["ends"] + report["open_attempts"] + report["unknown_attempts"]


async def test_a_purge_removes_what_the_proxies_hold(gateway: Gateway) -> None:
    await gateway.admin("/admin/v1/cache/purge", method="POST")
    await chat(gateway, "purge", seed=4711)
    status, purged = await gateway.admin("/admin/v1/cache/purge", method="POST")
    assert status == 200
    assert purged == {"removed": 1, "proxies": 1, "proxies_connected": 1}


async def test_readiness_names_every_dependency(gateway: Gateway) -> None:
    status, document = await gateway.admin("/health/ready", token="")
    assert (status, document["status"]) == (200, "ok")
    assert set(document["dependencies"]) == {
        "sql", "columnar", "snapshot", "bus", "proxies", "shipper",
    }  # fmt: skip
    assert document["dependencies"]["proxies"] == {"status": "ok", "connected": 1, "expected": 1}


async def test_metrics_add_up_all_processes(gateway: Gateway) -> None:
    await chat(gateway, "metrics")

    async def read() -> str:
        return str((await gateway.admin("/health/metrics", token=""))[1])

    async with asyncio.timeout(10):
        while 'apex_requests_total{endpoint="chat"' not in (text := await read()):
            await asyncio.sleep(0.1)
    assert "apex_shipped_events_total" in text


async def test_an_api_key_opens_nothing_here(gateway: Gateway) -> None:
    status, _ = await gateway.admin("/admin/v1/usage", token=gateway.api_key)
    assert status == 401


async def test_keys_are_shown_by_name(gateway: Gateway) -> None:
    request_id = await chat(gateway, "key-name")
    _, usage = await gateway.admin("/admin/v1/usage?group_by=key")
    [row] = usage["rows"]
    assert row["key"] == "acme/app"
    _, detail = await gateway.admin(f"/admin/v1/requests/{request_id}")
    assert (detail["key"], detail["key_id"]) == ("acme/app", row["key_id"])


async def test_nothing_of_a_broken_request_is_logged(gateway: Gateway) -> None:
    """A head that is no HTTP may still hold the token."""
    host, _, port = gateway.admin_url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /admin/v1/usage HTTP/1.1\nAuthorization: Bearer this-very-secret\n\n")
    async with asyncio.timeout(10):
        assert (await reader.read(-1)).startswith(b"HTTP/1.0 400")
    writer.close()
    assert "this-very-secret" not in gateway.output
