"""Errors an operator can act on."""

from config.errors import ConfigError, nearest, suggest


def test_error_keeps_message_and_hint_apart() -> None:
    error = ConfigError("no such file", "create it")
    assert (error.message, error.hint) == ("no such file", "create it")
    assert str(error) == "no such file (hint: create it)"


def test_nearest_finds_typos_whatever_their_case() -> None:
    assert nearest("OPNAI", ["anthropic", "openai", "mock"]) == ["openai"]
    assert nearest("zzz", ["anthropic", "openai"]) == []


def test_nearest_is_limited() -> None:
    assert len(nearest("key1", [f"key{number}" for number in range(9)], limit=2)) == 2


def test_suggest_falls_back_to_the_known_names() -> None:
    assert suggest("opnai", ["openai"]) == "did you mean openai?"
    assert suggest("zzz", ["b", "a"]) == "known names: a, b"
    assert suggest("zzz", []) == "none are declared"
    assert suggest("zzz", [f"n{number:02}" for number in range(20)]).endswith("n11, ...")
