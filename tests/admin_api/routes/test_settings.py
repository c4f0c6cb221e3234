"""Settings over the API: shown where they are known to be no secret."""

import json

from admin_api.routes.settings import SHOWN, SHOWN_AS_PLACES
from config.settings import describe_settings
from tests.admin_api.conftest import OpenAdmin

SECRET = "a-planted-secret-of-more-than-32-characters"


async def test_no_secret_is_shown(open_admin: OpenAdmin) -> None:
    admin = await open_admin(
        APEX_MASTER_KEY=SECRET,
        APEX_ADMIN_TOKEN=SECRET,
        APEX_COLUMNAR_URL=f"clickhouse://user:{SECRET}@host:8123/name?password={SECRET}",
        APEX_KV_URL=f"redis://:{SECRET}@host:6379/0",
        OPENAI_API_KEY=SECRET,
    )
    status, document = await admin.ask("/admin/v1/settings")
    assert status == 200
    assert SECRET not in json.dumps(document)
    by_name = {item["name"]: item for item in document["items"]}
    assert list(by_name) == [name for name, _, _ in describe_settings()]
    assert by_name["APEX_COLUMNAR_URL"]["value"] == "clickhouse://host:8123/name"
    assert by_name["APEX_KV_URL"]["value"] == "redis://host:6379/0"
    assert by_name["APEX_MASTER_KEY"] | {"default": "", "meaning": ""} == {
        "name": "APEX_MASTER_KEY", "value": None, "is_set": True, "is_masked": True,
        "default": "", "meaning": "",
    }  # fmt: skip
    assert (by_name["APEX_WORKERS"]["value"], by_name["APEX_WORKERS"]["is_set"]) == ("1", False)


def test_what_is_shown_exists() -> None:
    known = {name for name, _, _ in describe_settings()}
    assert set(SHOWN) | set(SHOWN_AS_PLACES) <= known
    assert not {"APEX_MASTER_KEY", "APEX_ADMIN_TOKEN"} & (set(SHOWN) | set(SHOWN_AS_PLACES))
