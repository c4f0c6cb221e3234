"""What is said at the start, apart from processes."""

import json
import logging
from pathlib import Path

import pytest

from config.clock import Clock
from config.log import JsonFormatter
from config.settings import Settings, load_settings
from roles.announcing import Announcer, SnapshotNews, describe_upstream, keep_new_keys

URLS = {"proxy": "http://127.0.0.1:8080", "admin": "http://127.0.0.1:8081"}
SECRET = "apex_a_generated_secret"


def make_settings(home: Path, **changes: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "demo.key").write_text("apex_demo_key\n")
    return load_settings({"APEX_HOME": str(home), **changes})


def make_news(**changes: object) -> SnapshotNews:
    facts: dict[str, object] = {
        "number": 1,
        "default_upstream": "mock",
        "upstreams": {"mock": "mock"},
        "models": [],
        "tenants": ["demo"],
        "has_demo": True,
        "new_keys": [{"tenant": "demo", "name": "demo", "secret": "apex_demo_key"}],
    }
    return SnapshotNews(**(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "because no provider key is set (OPENAI_API_KEY or apex.yaml)"),
        (
            {"upstreams": {"mock": "mock", "openai": "openai"}},
            "because it is the default upstream",
        ),
        (
            {"upstreams": {"openai": "openai", "mock": "mock"}, "default_upstream": "openai"},
            "openai (default of openai, mock)",
        ),
        ({"upstreams": {"a": "openai"}, "default_upstream": None}, "by model, from a"),
    ],
)
def test_the_upstream_is_named_and_the_mock_plainly_so(
    changes: dict[str, object], said: str
) -> None:
    assert said in describe_upstream(make_news(**changes))


def test_the_banner_of_declared_tenants_shows_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(tmp_path / "my home", APEX_ADMIN_TOKEN="t" * 32)
    news = make_news(has_demo=False, tenants=["acme"], models=["house-model"], new_keys=[])
    announcer = Announcer(settings, Clock())
    announcer.announce_ready(news, URLS, "t" * 32)
    announcer.announce_new_keys(news)
    text = capsys.readouterr().out
    assert "those of the tenants acme" in text
    assert "Bearer $GATEWAY_KEY" in text
    assert "house-model" in text
    assert "t" * 32 not in text
    assert f"APEX_HOME='{settings.home}' python main.py usage" in text
    assert "made now" not in text


def test_the_demo_key_is_in_the_banner_and_other_new_ones_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announcer = Announcer(make_settings(tmp_path), Clock())
    announcer.announce_ready(make_news(), URLS, "an-admin-token")
    announcer.announce_new_keys(make_news())
    text = capsys.readouterr().out
    assert "Bearer apex_demo_key" in text
    assert "token: an-admin-token" in text
    assert "made now" not in text
    keys = [{"tenant": "acme", "name": "app", "secret": SECRET}]
    announcer.announce_new_keys(make_news(has_demo=False, new_keys=keys))
    assert f"acme/app   {SECRET}" in capsys.readouterr().out


def test_a_json_log_has_one_line_and_names_files_for_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    settings = make_settings(tmp_path, APEX_LOG_FORMAT="json", APEX_WORKERS="2")
    announcer = Announcer(settings, Clock())
    announcer.announce_step("home locked")
    announcer.announce_ready(make_news(), URLS, "an-admin-token")
    announcer.announce_stop(30)
    announcer.announce_stopped()
    assert caplog.messages[-1] == "stopped"
    ready = json.loads(JsonFormatter("supervisor").format(caplog.records[1]))
    assert (ready["event"], ready["message"]) == ("ready", "Netra Apex is ready")
    assert ready["base_url"] == "http://127.0.0.1:8080/v1"
    assert ready["api_key_file"] == str(settings.home / "demo.key")
    assert ready["admin_token_file"] == str(settings.home / "admin.token")
    assert "1/2 of the limits" in ready["caches"]
    assert "apex_demo_key" not in caplog.text
    assert "an-admin-token" not in caplog.text
    assert capsys.readouterr().out == ""


def test_generated_keys_go_to_a_private_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = make_settings(tmp_path)
    keep_new_keys(settings, [])
    path = settings.home / "generated-keys.jsonl"
    assert not path.exists()
    for name in ("app", "web"):
        keep_new_keys(settings, [{"tenant": "acme", "name": name, "secret": SECRET}])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == ["app", "web"]
    assert SECRET not in caplog.text
    assert str(path) in caplog.text
