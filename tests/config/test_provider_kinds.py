"""The list of upstream kinds."""

from config.provider_kinds import KNOWN_KINDS, LITELLM_KINDS, MOCK_KIND, OPENAI_KIND


def test_names_are_sorted_and_unique() -> None:
    assert list(LITELLM_KINDS) == sorted(set(LITELLM_KINDS))


def test_own_kinds_come_first_and_once() -> None:
    assert KNOWN_KINDS[:2] == (MOCK_KIND, OPENAI_KIND)
    assert len(set(KNOWN_KINDS)) == len(KNOWN_KINDS)
