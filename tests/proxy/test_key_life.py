"""Keys over a proxy's real socket: scopes, expiry, revocation, doubt, and the closed data plane.

The control process's end of the bus is the real one; the time is stepped.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from config.secrets import load_key_ring
from config.settings import load_settings
from policies.keys import generate_key, key_hmac
from policies.revocations import add_revocation
from policies.snapshot import KeyRecord, index_by_hmac
from proxy.freshness import DOUBT_AFTER_S
from roles.bus_server import BusServer
from tests.gateway import wait_until
from tests.proxy.mock_gateway import MockGateway, mock_gateway
from tests.proxy.samples import SteppedClock
from tests.proxy_gateway import API_KEY

KEY = generate_key()
DAY_S = 86_400


@dataclass(slots=True)
class Scene:
    """A proxy that serves the key KEY, the bus it listens to, and its clock."""

    mock: MockGateway
    bus: BusServer
    clock: SteppedClock

    async def ask(self, path: str = "/v1/chat/completions", **changes: Any) -> tuple[int, Any]:
        """(status, error code or document), with KEY unless another is given."""
        secret = changes.pop("secret", KEY.secret)
        model = changes.pop("model", "gpt-4o-mini")
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **changes}
        headers = {"Authorization": f"Bearer {secret}"}
        async with self.mock.http.post(
            f"{self.mock.root}{path}", json=body, headers=headers
        ) as reply:
            document = await reply.json(content_type=None)
            if reply.status == 503:
                assert int(reply.headers["Retry-After"]) > 0
        error = document.get("error") if isinstance(document, dict) else None
        return reply.status, error.get("code", error) if isinstance(error, dict) else document

    async def models(self, secret: str = KEY.secret) -> list[str]:
        headers = {"Authorization": f"Bearer {secret}"}
        async with self.mock.http.get(f"{self.mock.root}/v1/models", headers=headers) as reply:
            document = await reply.json()
        return [each["id"] for each in document["data"]]

    def write(self, number: int, **changes: Any) -> None:
        self.mock.gateway.write_snapshot(number, **with_key(self.mock, **changes))


def with_key(mock: MockGateway, **changes: Any) -> Mapping[str, Any]:
    """The keys of a snapshot: KEY with these changes, and the one it is always with."""
    pepper = load_key_ring(mock.gateway.settings).pepper()
    plain = KeyRecord("app", "acme", "app", key_hmac(pepper, API_KEY), {})
    key = replace(plain, key_id=KEY.key_id, secret_hmac=key_hmac(pepper, KEY.secret), **changes)
    keys = {each.key_id: each for each in (plain, key)}
    return {"keys_by_id": keys, "keys_by_hmac": index_by_hmac(keys)}


@asynccontextmanager
async def playing(directory: Path, **changes: Any) -> AsyncIterator[Scene]:
    clock = SteppedClock()
    async with mock_gateway(directory, clock=clock) as mock:
        bus = BusServer(mock.gateway.home / "run" / "bus.sock")
        await bus.start()
        scene = Scene(mock, bus, clock)
        scene.write(2, **changes)
        try:
            await wait_until(lambda: len(bus.proxies) == 1)
            bus.announce_fresh(2)
            await wait_until(lambda: is_known(scene))
            bus.announce_fresh(2)
            yield scene
        finally:
            await bus.stop()


async def is_known(scene: Scene) -> bool:
    return (await scene.ask())[0] not in {401, 503}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with playing(tmp_path) as scene:
        yield scene


async def test_a_key_is_held_to_its_models_and_endpoints(tmp_path: Path) -> None:
    scopes: dict[str, Any] = {"models": ("gpt-4o-*",), "endpoints": ("chat", "messages")}
    async with playing(tmp_path, **scopes) as scene:
        assert await scene.models() == ["gpt-4o-mini"]
        assert len(await scene.models(API_KEY)) > 1
        for _ in range(2):  # the second time by what is known of the caller
            assert (await scene.ask())[0] == 200
            assert await scene.ask(model="claude-sonnet-4-5") == (403, "permission_denied")
            assert await scene.ask(model="none-such") == (403, "permission_denied")
            assert await scene.ask("/v1/embeddings") == (403, "permission_denied")
            assert await scene.ask("/v1/files") == (403, "permission_denied")
        status, error = await scene.ask("/v1/messages", model="claude-sonnet-4-5", max_tokens=9)
        assert (status, error["type"]) == (403, "permission_error"), "in Anthropic's own shape"
        status, error = await scene.ask("/v1beta/models/gpt-4o-mini:generateContent")
        assert (status, error) == (403, 403), "Google's clients read the status there"
        assert (await scene.ask("/v1/embeddings", model="text-embedding-3-small",
                                secret=API_KEY, input="a"))[0] == 200  # fmt: skip


async def test_an_expired_key_is_told_so(tmp_path: Path) -> None:
    async with playing(tmp_path, expires_at=SteppedClock().now() + 5) as scene:
        assert (await scene.ask())[0] == 200
        scene.clock.step(5)
        await wait_until(lambda: is_refused(scene, "key_expired"))
        assert (await scene.ask(secret=API_KEY))[0] == 200


async def test_a_revoked_key_is_out_before_the_next_snapshot(scene: Scene) -> None:
    scene.bus.announce_revoked(KEY.key_id)
    await wait_until(lambda: is_refused(scene, "key_revoked"))
    assert (await scene.ask(secret=API_KEY))[0] == 200


async def test_a_revocation_during_an_outage_holds(tmp_path: Path) -> None:
    """Row 10: the control process died after it wrote the file, before it built a snapshot."""
    home = tmp_path / "home"
    home.mkdir()
    key_ring = load_key_ring(load_settings({"APEX_HOME": str(home)}))
    add_revocation(home / "revocations.sealed", key_ring, KEY.key_id, SteppedClock().now())
    async with mock_gateway(tmp_path, clock=SteppedClock()) as mock:
        mock.gateway.write_snapshot(2, **with_key(mock))
        bus = BusServer(home / "run" / "bus.sock")
        scene = Scene(mock, bus, SteppedClock())
        await bus.start()
        bus.announce_snapshot(2)
        await wait_until(lambda: is_refused(scene, "key_revoked"))
        assert (await scene.ask(secret=API_KEY))[0] == 200
        await bus.stop()


async def is_refused(scene: Scene, code: str) -> bool:
    return await scene.ask() == (401, code)


async def test_an_unknown_key_may_be_a_new_one_while_the_control_plane_is_away(
    scene: Scene,
) -> None:
    """Row 8: 503 and Retry-After, never 401, which clients give up on."""
    unknown = generate_key().secret
    assert await scene.ask(secret=unknown) == (401, "invalid_api_key")
    scene.clock.step(DOUBT_AFTER_S + 1)
    assert await scene.ask(secret=unknown) == (503, "key_not_verifiable")
    assert await scene.ask(secret="") == (401, "invalid_api_key")
    assert (await scene.ask())[0] == 200
    scene.bus.announce_fresh(2)
    await wait_until(lambda: is_answered(scene, unknown, (401, "invalid_api_key")))


async def is_answered(scene: Scene, secret: str, expected: tuple[int, Any]) -> bool:
    return await scene.ask(secret=secret) == expected


async def test_past_a_day_without_control_plane_the_data_plane_closes(scene: Scene) -> None:
    """Row 10: by then keys may have been revoked that nobody could tell of."""
    scene.clock.step(DAY_S - 60)
    assert (await scene.ask())[0] == 200
    scene.clock.step(120)
    await wait_until(lambda: is_answered(scene, KEY.secret, (503, "snapshot_stale")))
    async with scene.mock.http.get(f"{scene.mock.root}/health/ready") as reply:
        assert (reply.status, (await reply.json())["status"]) == (503, "stale")
    scene.bus.announce_fresh(2)
    await wait_until(lambda: is_known(scene))


async def test_a_newer_snapshot_is_taken_when_somebody_vouches_for_it(scene: Scene) -> None:
    """A message was missed: what is vouched for is newer than what is served."""
    scene.write(3, models=("none-such",))
    os.utime(scene.mock.gateway.home / "snapshot.sealed")
    scene.bus.announce_fresh(3)
    await wait_until(lambda: is_answered(scene, KEY.secret, (403, "permission_denied")))
