"""The keys of a snapshot: the operator's own, generated ones, and no two with one id."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.operator_model import KeyConfig
from config.secrets import KeyRing
from policies.key_collecting import KeyCollector
from policies.key_store import add_tenants
from policies.keys import generate_key, key_hmac

RING = KeyRing(b"m" * 32)
OWN = "operators-own-secret-of-more-than-32-characters"


def make_collector() -> KeyCollector:
    return KeyCollector(RING, Clock())


async def test_an_own_secret_keeps_its_id_when_it_changes(sql_engine: AsyncEngine) -> None:
    ids = []
    for secret in (OWN, f"{OWN}-next"):
        keys = make_collector()
        async with sql_engine.begin() as connection:
            await keys.add(connection, "acme", KeyConfig(name="app", secret=secret))
        (record,) = keys.by_id.values()
        assert record.secret_hmac == key_hmac(RING.pepper(), secret)
        assert keys.to_print == []
        ids.append(record.key_id)
    assert ids[0] == ids[1]


async def test_an_own_secret_in_our_format_is_found_by_the_id_it_carries(
    sql_engine: AsyncEngine,
) -> None:
    key, keys = generate_key(), make_collector()
    async with sql_engine.begin() as connection:
        await keys.add(connection, "acme", KeyConfig(name="app", secret=key.secret))
        assert list(keys.by_id) == [key.key_id]
        with pytest.raises(ConfigError) as raised:
            await keys.add(connection, "other", KeyConfig(name="app", secret=key.secret))
    assert key.secret not in str(raised.value)


async def test_a_generated_key_is_printed_by_who_made_it_only(sql_engine: AsyncEngine) -> None:
    first, second = make_collector(), make_collector()
    declared = KeyConfig(name="app", tags={"team": "search"})
    async with sql_engine.begin() as connection:
        await add_tenants(connection, ["acme"], Clock())
        await first.add(connection, "acme", declared)
        await second.add(connection, "acme", declared)
    ((tenant, name, secret),) = first.to_print
    assert (tenant, name) == ("acme", "app")
    (record,) = first.by_id.values()
    assert record.secret_hmac == key_hmac(RING.pepper(), secret)
    assert record.tags == {"team": "search"}
    assert second.by_id == first.by_id
    assert second.to_print == []
