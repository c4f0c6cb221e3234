"""deploy/install.py: what it takes from pip's settings, and when it has nothing to do."""

import sys
from pathlib import Path

import pytest

from deploy import install

LISTING = """\
global.cert='/etc/ssl/own.pem'
global.find-links='/wheels'
install.find-links='/wheels /more'
global.extra-index-url='https://one.example/s https://two.example/s'
freeze.timeout='10'
:env:.index-url='https://mirror.example/s'
"""


def test_the_stronger_section_of_pips_settings_wins() -> None:
    assert install.read_pip_settings(LISTING) == {
        "cert": "/etc/ssl/own.pem",
        "extra-index-url": "https://one.example/s https://two.example/s",
        "find-links": "/wheels /more",
        "index-url": "https://mirror.example/s",
    }


def test_uv_is_told_what_pip_was_told() -> None:
    environment = install.uv_environment(install.read_pip_settings(LISTING), {"HOME": "/h"})
    assert environment == {
        "HOME": "/h",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "UV_DEFAULT_INDEX": "https://mirror.example/s",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://one.example/s https://two.example/s",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_settings_made_for_uv_itself_are_kept() -> None:
    environment = install.uv_environment({"cert": "/pip.pem"}, {"SSL_CERT_FILE": "/own.pem"})
    assert environment is not None
    assert environment["SSL_CERT_FILE"] == "/own.pem"


@pytest.mark.parametrize("setting", install.UNMAPPED)
def test_pip_installs_where_uv_could_not_follow_its_settings(setting: str) -> None:
    assert install.uv_environment({setting: "something"}, {}) is None


def test_an_installed_lock_is_up_to_date_until_it_changes(tmp_path: Path) -> None:
    python = Path(sys.executable)
    runtime, tools = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    runtime.write_text("one==1\n")
    tools.write_text("one==1\ntwo==2\n")
    assert not install.is_up_to_date(tmp_path, python, runtime)

    install.write_stamps(tmp_path, python, tools)
    assert install.is_up_to_date(tmp_path, python, tools)
    assert install.is_up_to_date(tmp_path, python, runtime), "the tools contain the runtime"

    runtime.write_text("one==2\n")
    assert not install.is_up_to_date(tmp_path, python, runtime)
    assert install.is_up_to_date(tmp_path, python, tools)


def test_an_old_python_is_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "MINIMUM", (99, 1))
    assert install.main(["requirements.txt"]) == 2
    message = capsys.readouterr().err
    assert "Python 99.1 or newer is needed" in message
    assert "hint:" in message


def test_the_locks_name_no_index_and_hash_every_file() -> None:
    root = Path(install.__file__).parent.parent
    for lock in sorted(root.glob("requirements*.txt")):
        text = lock.read_text()
        assert "://" not in text, lock.name
        pins = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
        assert pins, lock.name
        assert all(line.endswith("\\") for line in pins), f"{lock.name}: a pin has no hash"


def test_the_tools_lock_agrees_with_the_runtime_lock() -> None:
    root = Path(install.__file__).parent.parent
    runtime, tools = (
        {line.split(" ")[0] for line in (root / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime <= tools
