"""The providers of the book are those an operator can name."""

from config.prices.document import read_document
from config.prices.providers import BOOK_PROVIDERS
from config.provider_kinds import LITELLM_KINDS, OPENAI_KIND


def test_every_provider_has_models_in_the_book() -> None:
    listed = read_document()["providers"]

    assert set(listed) == {provider.name for provider in BOOK_PROVIDERS}
    assert all(listed.values())


def test_every_provider_is_a_kind_an_operator_can_write() -> None:
    names = {provider.name for provider in BOOK_PROVIDERS}

    assert names <= {OPENAI_KIND, *LITELLM_KINDS}
