"""The demo key: made once, kept private, the same at the second start."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from policies.demo import DEMO_KEY_FILE, load_demo_key
from policies.keys import parse_key_id


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    secret = load_demo_key(home)
    assert parse_key_id(secret) is not None
    assert load_demo_key(home) == secret
    assert (home / DEMO_KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"apex_broken\n", b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DEMO_KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load_demo_key(tmp_path)
    assert "delete" in raised.value.hint


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigError) as raised:
        load_demo_key(tmp_path / "home")
    assert "APEX_HOME" in raised.value.hint
