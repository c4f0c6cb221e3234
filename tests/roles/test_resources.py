"""The verbs that steer a running gateway, and the audit chain that they leave."""

import json
from pathlib import Path
from typing import Any

import pytest

from admin_api.app import RESOURCES as ROUTES
from config.errors import ConfigError
from roles.resources import RESOURCES, detail_rows, list_rows, read_fields
from tests.gateway import ACME_CONFIG, Gateway, clean_environment, run_verb


async def ask(gateway: Gateway, *words: str) -> str:
    code, out, err = await gateway.verb(*words)
    assert code == 0, err
    return out


@pytest.mark.e2e
async def test_from_a_tenant_to_a_verified_chain(tmp_path: Path) -> None:
    async with Gateway(tmp_path, config=ACME_CONFIG) as gateway:
        made = await ask(gateway, "tenants", "create", "initech", "--set", "tier=mid", "--json")
        assert json.loads(made)["tier"] == "mid"
        await ask(gateway, "projects", "create", "search", "--tenant", "initech")
        words = ("keys", "create", "app", "--tenant", "initech", "--set", "project=search")
        key = json.loads(await ask(gateway, *words, "--json"))
        assert key["secret"].startswith("apex_")
        rotated = await ask(gateway, "keys", "rotate", "app", "--tenant", "initech", "--json")
        assert json.loads(rotated)["replaces"] == key["key_id"]
        await ask(gateway, "keys", "revoke", key["key_id"], "--tenant", "initech")
        listed = await ask(gateway, "keys", "list", "--tenant", "initech")
        assert [line.split()[3] for line in listed.splitlines()[1:]].count("revoked") == 1
        assert key["secret"] not in listed
        assert "initech" in await ask(gateway, "tenants", "list")

        code, _, err = await gateway.verb("tenants", "create", "initech")
        assert code == 2
        assert "there is a tenant 'initech' already" in err
        assert "hint:" in err
        code, _, err = await gateway.verb("keys", "list")
        assert (code, "add --tenant NAME" in err) == (2, True)

        await check_audit(gateway, tmp_path)


async def check_audit(gateway: Gateway, directory: Path) -> None:
    listed = await ask(gateway, "audit", "list", "--tenant", "initech", "--action", "key.revoke")
    assert len(listed.splitlines()) == 2
    said = await ask(gateway, "audit", "verify", "--tenant", "initech")
    assert said.startswith("whole: 4 entries")
    last_hash = said.split()[-1]
    exported = await ask(gateway, "audit", "export", "--tenant", "initech")
    file = directory / "chain.ndjson"
    for text, words, code, part in (
        (exported, (), 0, '"is_whole": true'),
        (exported, ("--expect-hash", last_hash), 0, '"entries": 4'),
        (exported.replace('"operator"', '"nobody"', 3), (), 1, "entry 1 was altered"),
        ("\n".join(exported.splitlines()[1:]), (), 1, "entry 1 is missing"),
        ("\n".join(exported.splitlines()[:-1]), ("--expect-hash", last_hash), 1, "no entry has"),
    ):
        file.write_text(text)
        found, out, err = await gateway.verb(
            "audit", "verify", "--file", str(file), *words, "--json"
        )
        assert found == code, err
        assert part in out
    file.write_text("no json\n")
    found, _, err = await gateway.verb("audit", "verify", "--file", str(file))
    assert (found, "python main.py audit export" in err) == (2, True)


async def test_without_a_gateway_it_says_so(tmp_path: Path) -> None:
    environ = clean_environment(tmp_path / ".apex", {})
    for words in (("tenants", "list"), ("audit", "verify")):
        code, _, err = await run_verb(*words, environ=environ)
        assert code == 2
        assert "no gateway runs" in err


def test_fields_are_json_or_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    fields = [
        "tier=mid",
        "limits.budgets=[1]",
        "limits.x=null",
        f"secret=@{tmp_path}/secret",
        "a=b=c",
    ]
    assert read_fields(fields) == {
        "tier": "mid", "limits": {"budgets": [1], "x": None}, "secret": "s3cret", "a": "b=c",
    }  # fmt: skip
    for bad in ("tier", "=1", "secret=@/nowhere"):
        with pytest.raises(ConfigError):
            read_fields([bad])


def test_tables_for_people() -> None:
    items: list[dict[str, Any]] = [{"name": "a", "tier": None}, {"name": "bbb", "tier": "mid"}]
    assert list_rows(items, ("name", "tier", "unknown")) == ["name  tier", "a     -", "bbb   mid"]
    assert list_rows([], ("name",)) == ["none"]
    assert detail_rows({"name": "a", "tags": {"x": "y"}}) == ["name  a", 'tags  {"x": "y"}']


def test_the_paths_are_routes() -> None:
    """Of what is served; members, invitations and credentials come with their routes."""
    served = {route.path for route in ROUTES}
    for name in ("tenants", "projects", "keys"):
        assert RESOURCES[name].path in served
