"""A rotation over the admin API: a step a call, until nothing remains."""

from config.secrets import KeyRing
from policies.credential_store import open_credentials
from tests.admin_api.conftest import Admin, OpenAdmin

OLD, NEW = "o" * 32, "n" * 32


async def test_steps_until_nothing_remains(open_admin: OpenAdmin) -> None:
    before = await open_admin(APEX_MASTER_KEYS=f"k1:{OLD}")
    body = {"name": "house", "provider": "openai", "secret": "sk-of-the-operator"}
    assert (await before.ask("/admin/v1/credentials", "POST", json=body))[0] == 201
    both: Admin = await open_admin(APEX_MASTER_KEYS=f"k2:{NEW},k1:{OLD}")
    status, state = await both.ask("/admin/v1/master-key")
    assert (status, state["key_ids"], state["data_keys"]) == (200, ["k2", "k1"], 1)
    steps = 0
    while state["remaining"]:
        status, state = await both.ask("/admin/v1/master-key/rotate", "POST")
        assert (status, state["done"] > 0) == (200, True)
        steps += 1
    assert steps == 2, "what is kept first, then the data keys"
    assert both.changes.is_set()
    assert (await both.ask("/admin/v1/master-key/rotate", "POST"))[1]["done"] == 0
    async with both.sql.connect() as connection:
        [found] = await open_credentials(connection, KeyRing(NEW.encode(), "k2"))
    assert found.secret == "sk-of-the-operator"
    assert OLD not in repr(state)
