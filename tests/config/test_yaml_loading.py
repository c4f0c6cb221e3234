"""YAML with line numbers, and what is refused before any model sees it (trust.md B3 row 22)."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.yaml_loading import MAX_BYTES, format_path, parse_yaml, read_yaml


def refuse(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "apex.yaml")
    return caught.value


def test_data_and_lines() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: 2.5}\n", "apex.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5}]}
    assert document.locate(("b", 1, "c")) == "apex.yaml:4"
    assert document.locate(("b", 0)) == "apex.yaml:3"
    assert document.locate(("b", 1, "missing")) == "apex.yaml:4"
    assert document.locate(()) == "apex.yaml:1"
    assert document.find_path(("b", 9, "c")) == ("b",)


def test_empty_text_is_none() -> None:
    assert parse_yaml("# nothing\n", "apex.yaml").data is None


def test_aliases_are_followed() -> None:
    document = parse_yaml("a: &price {input: 1}\nb: *price\n", "apex.yaml")
    assert document.data["b"] == {"input": 1}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "apex.yaml:3", "a is written twice, first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", "apex.yaml:3", "a.b is written twice"),
        ("a: 1\n3: x\n", "apex.yaml:2", "the key 3 is not text"),
        ("yes: x\n", "apex.yaml:1", "the key yes is not text"),
        ("[a]: x\n", "apex.yaml:1", "the key a list or mapping is not text"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "apex.yaml:3", "merge keys"),
        ("a: [\nb: c\n", "apex.yaml:3:1", "not valid YAML"),
        ("a: 1\n\tb: 2\n", "apex.yaml:2:1", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "apex.yaml:2:1", "not valid YAML"),
        ("a: !!python/name:os.system x\n", "apex.yaml:1", "not valid YAML"),
        ("a: 2026-02-31\n", "apex.yaml:1", "day"),
        ("a: &a [*a]\n", "apex.yaml:1", "beyond measure"),
        ("a: 1\nb: \x00\n", "apex.yaml:2", "the character 0x0"),
    ],
)
def test_refusals_name_the_line(text: str, where: str, message: str) -> None:
    error = refuse(text)
    assert error.message.startswith(where)
    assert message in error.message
    assert error.hint


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "beyond measure" in refuse("\n".join(lines)).message


def test_deep_nesting_is_refused() -> None:
    assert refuse("[" * 5000).hint
    assert "beyond measure" in refuse("[" * 60 + "]" * 60).message


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_yaml(text, "apex.yaml").locate(()) == "apex.yaml:1"


def test_file_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "apex.yaml"
    path.write_text("a: 1\n")
    assert read_yaml(path, "hint").locate(("a",)) == f"{path}:1"


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    for path in (missing, tmp_path):
        with pytest.raises(ConfigError) as caught:
            read_yaml(path, "correct APEX_CONFIG")
        assert str(path) in caught.value.message
        assert caught.value.hint == "correct APEX_CONFIG"
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(ConfigError, match=r"latin.yaml:2: not UTF-8"):
        read_yaml(path, "")
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(path, "")


def test_paths_read_as_people_write_them() -> None:
    assert format_path(("models", "gpt-4o", "upstreams", 1, "price")) == (
        "models.gpt-4o.upstreams[1].price"
    )
    assert format_path((0, "a")) == "[0].a"
    assert format_path(()) == "the document"
