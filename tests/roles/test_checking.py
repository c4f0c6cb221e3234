"""apex.yaml checked before the start, in a process that says what is wrong itself."""

from pathlib import Path

import pytest

from config.settings import load_settings
from roles.checking import check_in_child
from tests.gateway import clean_environment


def test_a_bad_file_is_told_and_a_good_one_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "apex.yaml"
    home = tmp_path / "home"
    assert check_in_child(load_settings(clean_environment(home, {}))) == 0
    settings = load_settings(clean_environment(home, {"APEX_CONFIG": str(config)}))
    config.write_text("upstreams:\n  mock: {kynd: mock}\n")
    assert check_in_child(settings) == 2
    assert f"{config}:2: " in capfd.readouterr().err
    config.write_text("upstreams: {mock: {kind: mock}}\ndefault_upstream: mock\n")
    assert check_in_child(settings) == 0
    assert capfd.readouterr().err == ""
    assert not home.exists()
