"""Tenants with provider keys and upstreams of their own: nobody ever gets another's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from config.clock import Clock
from ledger.price_book import PriceBook, load_price_book
from policies.snapshot import Credential, OwnUpstream, Target
from proxy.live import LiveSnapshot
from proxy.providers.calls import Preparer
from proxy.resources.choosing import choose_upstream
from proxy.resources.ownership import Owner
from tests.fault_replies import ok_json
from tests.fault_upstream import Call, FaultUpstream
from tests.gateway import wait_until
from tests.proxy.samples import key_record, live_snapshot, request_context, upstream
from tests.proxy_gateway import API_KEY, OTHER_KEY, ProxyGateway, local_upstream

OPERATORS, ACMES, GLOBEXES = "sk-upstream-secret", "sk-own-of-acme", "sk-own-of-globex"
KEY_OF = {"acme": API_KEY, "globex": OTHER_KEY}
KINDS = ("openai", "azure", "anthropic", "gemini", "groq")
HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")


@pytest.fixture
async def provider() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(ok_json()) as serving:
        yield serving


@pytest.fixture
async def gateway(tmp_path: Path, provider: FaultUpstream) -> AsyncIterator[ProxyGateway]:
    upstreams = {kind: local_upstream(kind, provider.url, kind=kind) for kind in KINDS}
    models = {f"by-{kind}": (Target(kind, "gpt-4o-mini"),) for kind in KINDS}
    async with ProxyGateway(
        tmp_path, upstreams, models=models, default_upstream="openai"
    ) as serving:
        yield serving


def credentials_of(
    provider: FaultUpstream, tenant: str, secret: str, kinds: tuple[str, ...] = KINDS
) -> tuple[Credential, ...]:
    return tuple(Credential(tenant, kind, f"127.0.0.1:{provider.port}", secret) for kind in kinds)


async def take(gateway: ProxyGateway, bus: Any, number: int, **changes: Any) -> None:
    """Write a snapshot and wait until the proxy serves from it."""
    gateway.write_snapshot(number, **changes)
    bus.announce_snapshot(number)
    url = gateway.base_url.removesuffix("/v1") + "/health/ready"

    async def is_taken() -> bool:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            document = await reply.json()
        return bool(document["dependencies"]["snapshot"]["number"] == number)

    await wait_until(is_taken)


def keys_in(call: Call) -> set[str]:
    """Every key a call carried, in whatever header."""
    found = {call.headers[name].removeprefix("Bearer ") for name in HEADERS if name in call.headers}
    return {key for key in found if key}


async def ask(gateway: ProxyGateway, tenant: str, model: str, **fields: Any) -> int:
    """A call whose headers are the same for all tenants, the key apart."""
    body = {"model": model, "messages": [{"role": "user", "content": f"I am {tenant}"}], **fields}
    headers = {"Authorization": f"Bearer {KEY_OF[tenant]}"}
    url = f"{gateway.base_url}/chat/completions"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=body) as reply,
    ):
        await reply.read()
        return reply.status


async def test_each_tenant_is_called_for_with_its_own_key(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any
) -> None:
    """The same head, byte for byte, from three kinds of tenants at once, by every family."""
    await take(gateway, bus, 2, credentials=credentials_of(provider, "acme", ACMES))
    calls = [(tenant, kind) for _ in range(6) for tenant in KEY_OF for kind in KINDS]
    async with asyncio.TaskGroup() as tasks:
        for tenant, kind in calls:
            tasks.create_task(ask(gateway, tenant, f"by-{kind}"))
    # Some of the answers are of no use to some of the families, so there are retries too.
    assert len(provider.calls) >= len(calls) * 3 // 5
    for call in provider.calls:
        is_acmes = b"I am acme" in call.body
        assert keys_in(call) == {ACMES if is_acmes else OPERATORS}, call.path
    upstreams = {(end["tenant"], end["upstream"]) for end in gateway.ends()}
    own = {("acme", f"acme@{kind}") for kind in KINDS}
    assert upstreams - {("acme", ""), ("globex", "")} == own | {("globex", kind) for kind in KINDS}


async def test_keys_come_change_and_go_with_the_snapshot(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any
) -> None:
    """Heads that were kept under the snapshot before are never used again."""
    rounds = [
        (2, ACMES, GLOBEXES),
        (3, GLOBEXES, ACMES),  # swapped: a kept head would show at once
        (4, "sk-rotated", GLOBEXES),
    ]
    for number, acmes, globexes in rounds:
        credentials = (
            *credentials_of(provider, "acme", acmes), *credentials_of(provider, "globex", globexes),
        )  # fmt: skip
        await take(gateway, bus, number, credentials=credentials)
        for tenant, expected in (("acme", acmes), ("globex", globexes)):
            for kind in KINDS:
                provider.calls.clear()
                await ask(gateway, tenant, f"by-{kind}")
                found = {frozenset(keys_in(call)) for call in provider.calls}
                assert found <= {frozenset({expected})}  # none where the breaker is open
                assert found or kind in {"anthropic", "gemini"}
    await take(gateway, bus, 5)
    provider.calls.clear()
    await ask(gateway, "acme", "by-openai")
    assert [keys_in(call) for call in provider.calls] == [{OPERATORS}]


async def test_a_key_that_cannot_be_opened_is_no_reason_to_use_the_operators(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any
) -> None:
    await take(gateway, bus, 2, credentials=credentials_of(provider, "acme", ""))
    await ask(gateway, "acme", "by-openai")
    assert [keys_in(call) for call in provider.calls] == [set()]


async def test_a_key_is_sent_to_its_host_and_kind_alone(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any
) -> None:
    elsewhere = (
        Credential("acme", "openai", "127.0.0.1", ACMES),
        Credential("acme", "openai", "127.0.0.1:1", ACMES),
        Credential("acme", "openai", "api.openai.com", ACMES),
        Credential("acme", "anthropic", f"127.0.0.1:{provider.port}", ACMES),
    )
    await take(gateway, bus, 2, credentials=elsewhere)
    await ask(gateway, "acme", "by-openai")
    assert [keys_in(call) for call in provider.calls] == [{OPERATORS}]


@pytest.mark.parametrize("path", ["/files", "/batches", "/audio/speech", "/images/generations"])
async def test_passthrough_goes_with_the_tenants_key_too(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any, path: str
) -> None:
    await take(gateway, bus, 2, credentials=credentials_of(provider, "acme", ACMES))
    method = "GET" if path in {"/files", "/batches"} else "POST"
    body = None if method == "GET" else {"model": "by-openai", "input": "x", "prompt": "x"}
    async with aiohttp.ClientSession() as session:
        for tenant, expected in (("acme", ACMES), ("globex", OPERATORS)):
            provider.calls.clear()
            headers = {"Authorization": f"Bearer {KEY_OF[tenant]}"}
            url = f"{gateway.base_url}{path}"
            async with session.request(method, url, json=body, headers=headers) as reply:
                await reply.read()
            assert {frozenset(keys_in(call)) for call in provider.calls} == {frozenset({expected})}


# --- upstreams of a tenant's own


OWN = OwnUpstream(
    "acme",
    upstream("acme/house", "https://llm.acme.com/v1", api_key=ACMES),
    {"house": "llama", "gpt-4o": "acme-4o"},
)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture
def live(book: PriceBook) -> LiveSnapshot:
    shared = Credential("globex", "openai", "api.openai.com", GLOBEXES)
    return live_snapshot(book, own_upstreams=(OWN,), credentials=(shared,))


def test_an_own_upstream_is_there_for_its_tenant_alone(live: LiveSnapshot) -> None:
    assert sorted(live.models_of("acme")) == ["gpt-4o", "house"]
    assert live.targets_of(("house", "gpt-4o"), "acme") == (
        Target("acme/house", "llama"),
        Target("acme/house", "acme-4o"),
    )
    for other in ("globex", "initech", ""):
        assert list(live.models_of(other)) == ["gpt-4o"]
        assert "house" not in live.models_of(other)
        with pytest.raises(KeyError):
            live.targets_of(("house",), other)
    assert live.targets_of(("gpt-4o",), "globex") == (Target("globex@openai", "gpt-4o"),)
    assert live.targets_of(("gpt-4o",)) == (Target("openai", "gpt-4o"),)
    assert live.models_of("initech") is live.snapshot.models


def test_figures_name_the_door_that_was_used(live: LiveSnapshot) -> None:
    assert live.baseline_of("gpt-4o", "acme")[0].upstream == "acme/house"
    assert live.baseline_of("gpt-4o", "globex")[0].upstream == "globex@openai"
    assert live.baseline_of("gpt-4o", "initech")[0].upstream == "openai"
    assert [live.whose_models(name) for name in ("acme", "initech")] == ["acme", ""]


def test_doors_of_other_keys_open_when_they_are_first_used(book: PriceBook) -> None:
    many = tuple(
        Credential(f"t{number}", "openai", "api.openai.com", f"sk-of-t{number}")
        for number in range(1000)
    )
    live = live_snapshot(book, credentials=many)
    assert list(live.doors) == ["openai"], "a new snapshot must not hold up the loop"
    door = live.doors["t7@openai"]
    assert door.headers["Authorization"] == "Bearer sk-of-t7"
    assert (door.tenant, live.doors["t7@openai"] is door) == ("t7", True)
    assert live.places["t8@openai"].upstream == "t8@openai"
    with pytest.raises(KeyError):
        live.doors["t1000@openai"]


def test_passthrough_chooses_among_the_tenants_doors(live: LiveSnapshot) -> None:
    assert choose_upstream(live, "house", None, "acme").door.upstream.name == "acme/house"
    assert choose_upstream(live, "house", None, "initech").door.upstream.name == "openai"
    assert choose_upstream(live, "", None, "globex").door.upstream.name == "globex@openai"
    pinned = Owner("acme", "acme/house")
    assert choose_upstream(live, "", pinned, "acme").door.upstream.name == "acme/house"


def test_a_door_of_another_tenant_opens_to_nobody(live: LiveSnapshot) -> None:
    """Should anything ever mix up targets: no call is made."""
    for tenant, name in (("globex", "acme/house"), ("acme", "globex@openai")):
        key = replace(key_record(), tenant=tenant)
        context = request_context(live, key=key)
        with pytest.raises(RuntimeError):
            Preparer(Clock()).prepare(context, Target(name, "m"), live.doors[name], {})
        with pytest.raises(Exception, match=r"no longer declared|another tenant"):
            choose_upstream(live, "", Owner(tenant, name), tenant)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "https://169.254.169.254/v1"},
        {"base_url": "https://2130706433/v1"},
        {"base_url": "http://llm.acme.com/v1"},
        {"allow_private": True},
        {"kind": "mock", "base_url": "http://127.0.0.1:1/v1"},
    ],
)
def test_what_a_tenant_got_wrong_stops_nobody_else(
    book: PriceBook, changes: dict[str, Any]
) -> None:
    own = replace(OWN, upstream=replace(OWN.upstream, **changes))
    live = live_snapshot(book, own_upstreams=(own,))
    assert "acme/house" not in live.doors
    assert "house" not in live.models_of("acme")
    assert live.models_of("acme")["gpt-4o"] == (Target("openai", "gpt-4o"),)


async def test_lists_of_models_are_the_tenants(
    gateway: ProxyGateway, provider: FaultUpstream, bus: Any
) -> None:
    await take(gateway, bus, 2, own_upstreams=(OWN,))
    seen: dict[str, set[str]] = {}
    async with aiohttp.ClientSession() as session:
        for tenant, key in KEY_OF.items():
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(f"{gateway.base_url}/models", headers=headers) as reply:
                document = orjson.loads(await reply.read())
            seen[tenant] = {each["id"] for each in document["data"]}
            async with session.get(f"{gateway.base_url}/models/house", headers=headers) as reply:
                assert reply.status == (200 if tenant == "acme" else 404)
    assert seen["acme"] - seen["globex"] == {"house", "gpt-4o"}
    assert await ask(gateway, "globex", "house") == 404
    assert provider.calls == []
