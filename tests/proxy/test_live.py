"""The snapshot a proxy serves from: rows 8-10 and 22 of the fault table."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from config.clock import Clock
from config.errors import ConfigError
from ledger.price_book import PriceBook, load_price_book
from policies.model import Policy
from policies.revocations import add_revocation
from policies.snapshot import Target, TenantRecord, write_snapshot_file
from policies.snapshot_signing import SnapshotSigner
from proxy.live import NOWHERE, SnapshotHolder, open_door
from tests.policies.samples import SIGNER
from tests.proxy.samples import (
    KEY_RING,
    SteppedClock,
    key_record,
    live_snapshot,
    snapshot_with,
    upstream,
)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.mark.parametrize(
    ("base_url", "chat"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("https://host", "https://host/chat/completions"),
        ("https://host:8443/a/b", "https://host:8443/a/b/chat/completions"),
    ],
)
def test_addresses_are_joined_below_the_base(base_url: str, chat: str) -> None:
    door = open_door(upstream("u", base_url))
    assert door.addresses.url("chat") == URL(chat)
    assert door.addresses.url("embeddings").path.endswith("/embeddings")


def test_a_door_sends_its_own_key_and_hides_it() -> None:
    door = open_door(upstream("u"))
    assert door.headers["Authorization"] == "Bearer sk-upstream-secret"
    assert door.headers["Accept-Encoding"] == "identity"
    assert "sk-upstream-secret" not in repr(door)
    keyless = open_door(upstream("u", "http://127.0.0.1:1/v1", api_key="", allow_private=True))
    assert "Authorization" not in keyless.headers


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.openai.com/v1",
        "https://127.0.0.1/v1",
        "https://[::1]/",
        "ftp://x/",
        "https://a:b@c/",
    ],
)
def test_a_forbidden_address_opens_no_door(base_url: str) -> None:
    with pytest.raises(ConfigError):
        open_door(upstream("u", base_url))


def test_the_mock_may_live_inside() -> None:
    door = open_door(upstream("mock", "http://127.0.0.1:9/v1", kind="mock", is_simulated=True))
    assert (door.is_mock, door.allows_private) == (True, True)


def test_every_kind_is_a_door_and_a_place(book: PriceBook) -> None:
    upstreams = {"openai": upstream("openai"), "claude": upstream("claude", "", kind="anthropic")}
    models = {"gpt-4o": (Target("openai", "gpt-4o"), Target("claude", "c"))}
    live = live_snapshot(book, upstreams=upstreams, models=models)
    assert live.doors.keys() == {"openai", "claude"}
    place = live.places["claude"]
    assert (place.kind, place.host) == ("anthropic", "api.anthropic.com")
    assert live.places["openai"].host == "api.openai.com"
    assert live.targets_of(("gpt-4o",)) == models["gpt-4o"]


def test_the_baseline_is_the_first_target_of_the_model_asked_for(book: PriceBook) -> None:
    live = live_snapshot(book)
    assert live.baseline_of("gpt-4o") == (live.places["openai"], "gpt-4o")
    assert live.baseline_of("unheard of") == (NOWHERE, "")


def test_keys_and_draws_differ_between_tenants_and_epochs(book: PriceBook) -> None:
    live = live_snapshot(book)
    acme, globex = live.tenant_keys("acme"), live.tenant_keys("globex")
    assert len({acme.cache_key, acme.subject_key, globex.cache_key, globex.subject_key}) == 4
    assert live.tenant_keys("acme") is acme
    assert acme.cache_key.hex() not in repr(acme)
    draws = [
        live.draw("2026-01", "acme", "s"),
        live.draw("2026-02", "acme", "s"),
        live.draw("2026-01", "globex", "s"),
        live.draw("2026-01", "acme", "t"),
    ]
    assert len({each.holdout for each in draws}) == 4
    assert draws[0].holdout != draws[0].canary
    assert live.draw("2026-01", "acme", "s") == draws[0]


def test_a_tenants_policies(book: PriceBook) -> None:
    active, candidate = Policy(name="a"), Policy(name="b")
    tenants = {
        "acme": TenantRecord("acme", active.revision, candidate.revision, is_demo=False),
        "globex": TenantRecord("globex", active.revision, None, is_demo=False),
    }
    policies = {each.revision: each for each in (active, candidate)}
    live = live_snapshot(book, tenants=tenants, policies=policies)
    assert live.policies_of("acme") == (active, candidate)
    assert live.policies_of("globex") == (active, None)


class Home:
    """A home directory as the control process leaves it."""

    def __init__(self, directory: Path) -> None:
        from config.prices.document import BOOK_PATH

        self.path = directory
        self.book_hash = load_price_book().hash
        (directory / "price-books").mkdir()
        (directory / "price-books" / f"{self.book_hash}.json").write_bytes(BOOK_PATH.read_bytes())

    def write(self, number: int, **changes: Any) -> None:
        snapshot = snapshot_with(number=number, price_book=self.book_hash, **changes)
        write_snapshot_file(self.path / "snapshot.sealed", snapshot, KEY_RING, SIGNER)

    def hold(self, clock: Clock | None = None, max_stale_s: float = 86_400) -> SnapshotHolder:
        return SnapshotHolder(self.path, KEY_RING, clock or Clock(), max_stale_s)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.write(1)
    return made


def test_a_newer_snapshot_is_taken_whole(home: Home) -> None:
    holder = home.hold()
    old = holder.live
    assert not holder.refresh()
    assert holder.live is old
    home.write(2, models={"new": (Target("openai", "n"),)})
    assert holder.refresh()
    assert holder.live.snapshot.models.keys() == {"new"}
    assert old.snapshot.models.keys() == {"gpt-4o"}, "requests under way keep theirs"


def test_an_older_snapshot_never_comes_back(home: Home) -> None:
    home.write(5)
    holder = home.hold()
    (home.path / "snapshot.sealed").unlink()
    home.write(4)
    assert not holder.refresh()
    assert holder.live.snapshot.number == 5


@pytest.mark.parametrize("damage", ["torn", "garbage", "missing", "bad address", "no book"])
def test_a_bad_snapshot_leaves_the_last_good_one(home: Home, damage: str) -> None:
    """Row 22: reject, keep last good."""
    holder = home.hold()
    path = home.path / "snapshot.sealed"
    if damage == "bad address":
        home.write(2, upstreams={"openai": upstream("openai", "https://10.0.0.1/v1")})
    elif damage == "no book":
        home.write(2)
        (home.path / "price-books" / f"{home.book_hash}.json").unlink()
    elif damage == "missing":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if damage == "torn" else b"{}")
    with pytest.raises(ConfigError):
        holder.refresh()
    assert holder.live.snapshot.number == 1


def test_without_a_snapshot_a_proxy_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotHolder(tmp_path, KEY_RING, Clock())
    assert caught.value.hint


def test_an_exchanged_trust_does_not_reach_a_running_proxy(home: Home) -> None:
    """Whoever has the master key and the directory still cannot feed a proxy that runs."""
    holder = home.hold()
    snapshot = snapshot_with(number=9, price_book=home.book_hash)
    write_snapshot_file(home.path / "snapshot.sealed", snapshot, KEY_RING, SnapshotSigner.make())
    with pytest.raises(ConfigError):
        holder.refresh()
    assert holder.live.snapshot.number == 1


def test_a_revoked_key_is_out_at_once_and_stays_out(home: Home) -> None:
    """Row 10: over the bus, from the file at a start, and whatever a later snapshot says."""
    holder = home.hold()
    assert set(holder.live.snapshot.keys_by_id) == {"app"}
    callers = holder.live.callers
    holder.revoke(["app"])
    assert holder.live.snapshot.keys_by_id == {}
    assert holder.live.snapshot.keys_by_hmac == {}
    assert holder.live.callers is not callers, "who called before is looked at again"
    home.write(2)
    assert holder.refresh()
    assert holder.live.snapshot.keys_by_id == {}
    assert set(home.hold().live.snapshot.keys_by_id) == {"app"}, "nothing is on disk yet"
    add_revocation(home.path / "revocations.sealed", KEY_RING, "app", 1.8e9)
    assert home.hold().live.snapshot.keys_by_id == {}
    other = home.hold()
    other.look_at_disk()
    assert other.live.revoked == {"app"}


def is_closed(holder: SnapshotHolder) -> bool:
    return holder.live.is_closed


def test_it_closes_when_nobody_vouches_and_opens_again(home: Home) -> None:
    clock = SteppedClock()
    os.utime(home.path / "snapshot.sealed", (clock.now(), clock.now()))
    holder = home.hold(clock, 3600)
    clock.step(3599)
    holder.look_at_time()
    assert is_closed(holder) is False
    clock.step(2)
    holder.look_at_time()
    assert is_closed(holder) is True
    assert holder.live.snapshot.keys_by_id == {}
    home.write(2)
    assert holder.refresh()
    assert is_closed(holder) is True, "a file alone is nobody's word"
    assert not holder.confirm(1)
    assert holder.confirm(2)
    assert is_closed(holder) is False
    assert set(holder.live.snapshot.keys_by_id) == {"app"}


def test_a_start_from_an_old_file_is_closed_and_from_a_young_one_open(home: Home) -> None:
    """Row 9: every other process is dead; what counts is when somebody last vouched."""
    clock = SteppedClock()
    for ago, expected in ((3500, False), (3700, True)):
        moment = clock.now() - ago
        os.utime(home.path / "snapshot.sealed", (moment, moment))
        assert is_closed(home.hold(clock, 3600)) is expected


def test_callers_are_looked_at_again_when_a_key_ends(home: Home) -> None:
    clock = SteppedClock()
    key = replace(key_record(), expires_at=clock.now() + 60)
    home.write(2, keys_by_id={"app": key}, keys_by_hmac={key.secret_hmac: key})
    os.utime(home.path / "snapshot.sealed", (clock.now(), clock.now()))
    holder = home.hold(clock)
    callers = holder.live.callers
    clock.step(59)
    holder.look_at_time()
    assert holder.live.callers is callers
    clock.step(1)
    holder.look_at_time()
    assert holder.live.callers is not callers
    assert holder.live.next_expiry == math.inf
