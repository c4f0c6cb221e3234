"""The environment, read once and refused with a hint when it is wrong."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import ClockOrigin, Settings, describe_settings, load_settings

SECRET = "s" * 32


def refuse(environ: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    return caught.value


def test_defaults() -> None:
    settings = load_settings({})
    home = Path.cwd() / ".apex"
    assert (settings.home, settings.config_path) == (home, None)
    assert (settings.host, settings.proxy_port, settings.admin_port) == ("127.0.0.1", 8080, 8081)
    assert not settings.is_proxy_port_explicit
    assert not settings.is_admin_port_explicit
    assert settings.workers == 1
    assert settings.sql_url == f"sqlite+aiosqlite:///{home}/apex.db"
    assert settings.columnar_url == f"chdb://{home}/columnar"
    assert settings.kv_url == "memory://"
    assert (settings.environment, settings.log_format) == ("development", "text")
    assert settings.admin_token is None
    assert settings.master_key is None


def test_everything_set() -> None:
    settings = load_settings(
        {
            "APEX_CONFIG": "apex.yaml",
            "APEX_HOME": "/srv/apex",
            "APEX_HOST": "0.0.0.0",  # noqa: S104 - what operators write
            "APEX_PROXY_PORT": "8080",
            "APEX_ADMIN_PORT": "0",
            "APEX_WORKERS": "4",
            "APEX_SQL_URL": "postgresql+asyncpg://apex@db/apex",
            "APEX_COLUMNAR_URL": "clickhouse://apex@ch:8123/apex",
            "APEX_KV_URL": "redis://kv:6379",
            "APEX_ENVIRONMENT": "production",
            "APEX_ADMIN_TOKEN": SECRET,
            "APEX_MASTER_KEY": SECRET,
            "APEX_LOG_FORMAT": "json",
            "OTHER": "kept",
        }
    )
    assert settings.config_path == Path.cwd() / "apex.yaml"
    assert settings.home == Path("/srv/apex")
    assert settings.is_proxy_port_explicit
    assert (settings.admin_port, settings.workers) == (0, 4)
    assert settings.kv_url == "redis://kv:6379"
    assert (settings.environment, settings.log_format) == ("production", "json")
    assert settings.environ["OTHER"] == "kept"


def test_empty_is_unset() -> None:
    settings = load_settings({"APEX_PROXY_PORT": "", "APEX_MASTER_KEY": " "})
    assert not settings.is_proxy_port_explicit
    assert settings.master_key is None


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APEX_WORKERS", "3")
    assert load_settings().workers == 3


def test_environ_is_a_frozen_copy() -> None:
    environ = {"A": "1"}
    settings = load_settings(environ)
    environ["A"] = "2"
    assert settings.environ["A"] == "1"


def test_unknown_name_is_refused_with_the_nearest() -> None:
    error = refuse({"APEX_PROXI_PORT": "1"})
    assert "APEX_PROXI_PORT" in error.message
    assert "APEX_PROXY_PORT" in error.hint
    assert "reserved" in refuse({"APEX_ZZZZZZZZZZZZZZ": "1"}).hint


@pytest.mark.parametrize("value", ["eighty", "-1", "65536", "8e3", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_bad_port_is_refused(value: str) -> None:
    error = refuse({"APEX_ADMIN_PORT": value})
    assert error.message.startswith("APEX_ADMIN_PORT")
    assert "8081" in error.hint


def test_workers_are_bounded() -> None:
    assert "from 1 to 64" in refuse({"APEX_WORKERS": "0"}).message
    assert "from 1 to 64" in refuse({"APEX_WORKERS": "65"}).message


def test_bad_choice_is_refused_with_the_nearest() -> None:
    assert refuse({"APEX_ENVIRONMENT": "prod"}).hint == "set APEX_ENVIRONMENT=production"
    assert "text, json" in refuse({"APEX_LOG_FORMAT": "xml"}).message


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("APEX_SQL_URL", "postgres://u:hidden@db/apex"),
        ("APEX_SQL_URL", "/var/hidden.db"),
        ("APEX_COLUMNAR_URL", "http://u:hidden@ch"),
        ("APEX_KV_URL", "memcached://hidden"),
    ],
)
def test_unknown_scheme_is_refused_without_showing_the_url(name: str, url: str) -> None:
    error = refuse({name: url})
    assert error.message.startswith(f"{name} has an unknown scheme")
    assert "hidden" not in str(error)
    assert "://" in error.hint


def test_url_without_a_place_is_refused() -> None:
    assert "names no place" in refuse({"APEX_COLUMNAR_URL": "chdb:///"}).message


def test_equal_ports_are_refused_unless_free_choice() -> None:
    assert "both 9000" in refuse({"APEX_PROXY_PORT": "9000", "APEX_ADMIN_PORT": "9000"}).message
    assert load_settings({"APEX_PROXY_PORT": "0", "APEX_ADMIN_PORT": "0"}).proxy_port == 0


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("missing", ["APEX_MASTER_KEY", "APEX_ADMIN_TOKEN"])
def test_secrets_are_required_outside_development(environment: str, missing: str) -> None:
    environ = {
        "APEX_ENVIRONMENT": environment,
        "APEX_MASTER_KEY": SECRET,
        "APEX_ADMIN_TOKEN": SECRET,
    }
    del environ[missing]
    error = refuse(environ)
    assert error.message == f"{missing} is required when APEX_ENVIRONMENT is {environment}"
    assert "openssl rand" in error.hint
    assert "31 characters" in refuse({**environ, missing: "s" * 31}).message


def test_development_allows_a_short_token_but_no_weak_root() -> None:
    assert load_settings({"APEX_ADMIN_TOKEN": "dev"}).admin_token == "dev"
    assert "APEX_MASTER_KEY" in refuse({"APEX_MASTER_KEY": "dev"}).message


def test_repr_shows_no_secret() -> None:
    settings = load_settings(
        {
            "APEX_MASTER_KEY": SECRET,
            "APEX_ADMIN_TOKEN": SECRET,
            "APEX_SQL_URL": f"postgresql+asyncpg://u:{SECRET}@db/apex",
            "OPENAI_API_KEY": SECRET,
        }
    )
    assert isinstance(settings, Settings)
    assert SECRET not in repr(settings)


def test_every_setting_is_described() -> None:
    described = describe_settings()
    assert len(described) == 16
    assert all(name.startswith("APEX_") and meaning for name, _, meaning in described)


def test_a_simulated_clock_has_its_two_instants() -> None:
    settings = load_settings(
        {
            "APEX_CLOCK_SCALE": "72",
            "APEX_CLOCK_ORIGIN": "2023-11-16T18:00:00Z=2026-11-25T09:00:00+01:00",
        }
    )
    assert settings.clock_scale == 72
    assert settings.clock_origin == ClockOrigin(1_700_157_600, 1_795_593_600)
    assert load_settings({}).clock_origin is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"APEX_CLOCK_SCALE": "72"}, "APEX_CLOCK_SCALE needs APEX_CLOCK_ORIGIN"),
        ({"APEX_CLOCK_SCALE": "0"}, "from 1 to 10000"),
        ({"APEX_CLOCK_ORIGIN": "2023-11-16"}, "not SIMULATED=REAL"),
        ({"APEX_CLOCK_ORIGIN": "2023-11-16=2024-11-16=2025-11-16"}, "not SIMULATED=REAL"),
        ({"APEX_CLOCK_ORIGIN": "yesterday=2024-11-16"}, "not SIMULATED=REAL"),
        ({"APEX_CLOCK_ORIGIN": "0001-01-01=2024-11-16"}, "not SIMULATED=REAL"),
        (
            {
                "APEX_CLOCK_ORIGIN": "2023-11-16=2024-11-16",
                "APEX_ENVIRONMENT": "production",
                "APEX_MASTER_KEY": SECRET,
                "APEX_ADMIN_TOKEN": SECRET,
            },
            "for development",
        ),
    ],
)
def test_a_clock_that_cannot_be_is_refused(environ: dict[str, str], named: str) -> None:
    assert named in refuse(environ).message
