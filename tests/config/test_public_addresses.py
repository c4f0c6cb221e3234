"""Which addresses are public: ranges, and every way to wrap an IPv4 address in an IPv6 one."""

import pytest

from config.public_addresses import is_public_address
from tests.ssrf_corpus import INSIDE_ADDRESSES


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
def test_inside_is_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize("text", ["", "x", "127.1", "0x7f000001", "1.2.3", "[::1]"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public_address(text)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public_address(address)
