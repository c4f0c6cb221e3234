"""What is remembered of a provider: fresh for an hour, kept for a day while it is away; bounds."""

import pytest

from admin_api.people.fetching import IssuerError, Remembered, fetch_json
from tests.admin_api.conftest import MovedClock
from tests.fake_issuer import FakeIssuer

KEYS = "/keys"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


async def test_an_outage_of_a_day_is_bridged(clock: MovedClock) -> None:
    async with FakeIssuer() as issuer:
        remembered = Remembered(lambda: fetch_json(issuer.url + KEYS), clock)
        first = await remembered.get()
        issuer.is_away = True
        issuer.published = []
        for later_s in (3599, 3601, 40_000, 86_000):
            clock.later_s = later_s
            assert await remembered.get() == first
        clock.later_s = 86_401
        with pytest.raises(IssuerError):
            await remembered.get()
        issuer.is_away = False
        clock.later_s += 61
        assert await remembered.get() == {"keys": []}


async def test_it_is_asked_again_after_an_hour_and_in_an_outage_once_a_minute(
    clock: MovedClock,
) -> None:
    async with FakeIssuer() as issuer:
        remembered = Remembered(lambda: fetch_json(issuer.url + KEYS), clock)
        for later_s, asked in ((0, 1), (3000, 1), (3601, 2), (3602, 2)):
            clock.later_s = later_s
            await remembered.get()
            assert issuer.asked[KEYS] == asked
        issuer.is_away = True
        for later_s, asked in ((7300, 3), (7301, 3), (7359, 3), (7361, 4)):
            clock.later_s = later_s
            await remembered.get(is_stale=True)
            assert issuer.asked[KEYS] == asked


async def test_what_was_never_there_is_an_error_and_not_asked_for_in_a_loop(
    clock: MovedClock,
) -> None:
    async with FakeIssuer(is_away=True) as issuer:
        remembered = Remembered(lambda: fetch_json(issuer.url + KEYS), clock)
        for _ in range(3):
            with pytest.raises(IssuerError):
                await remembered.get()
        assert issuer.asked[KEYS] == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"<html>", b" " * 300_000 + b"{}"])
async def test_answers_that_are_no_small_object_are_refused(body: bytes) -> None:
    async with FakeIssuer() as issuer:
        issuer.bodies[KEYS] = body
        with pytest.raises(IssuerError):
            await fetch_json(issuer.url + KEYS)


async def test_nothing_is_asked_over_plain_http_elsewhere() -> None:
    for url in ("http://issuer.example.com/keys", "file:///etc/passwd", "ftp://127.0.0.1/", ""):
        with pytest.raises(IssuerError, match="not https"):
            await fetch_json(url)


async def test_redirects_are_not_followed() -> None:
    async with FakeIssuer() as issuer:
        with pytest.raises(IssuerError, match="405"):
            await fetch_json(issuer.url + "/token")
        with pytest.raises(IssuerError, match="ClientConnectorError"):
            await fetch_json("http://127.0.0.1:1/keys")
