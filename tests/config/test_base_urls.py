"""What the text of an address tells: the corpus of spellings that lead inside, all refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.base_urls import BaseUrlError, check_base_url, check_public_host
from config.public_addresses import is_public_address
from tests.ssrf_corpus import FINE, REFUSED


@pytest.mark.parametrize("url", REFUSED)
def test_nothing_that_leads_inside_is_an_address(url: str) -> None:
    with pytest.raises(BaseUrlError) as caught:
        check_base_url(url, allows_private=False)
    assert caught.value.hint


@pytest.mark.parametrize("url", FINE)
def test_public_addresses_are_taken_without_slashes_at_the_end(url: str) -> None:
    assert check_base_url(url, allows_private=False) == url.rstrip("/")


def test_the_corpus_is_of_some_size() -> None:
    assert len(set(REFUSED)) == len(REFUSED) > 120


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "http://vllm:8000/v1", "https://10.0.0.1/", "http://[::1]/"]
)
def test_the_operator_may_mean_it(url: str) -> None:
    assert check_base_url(url, allows_private=True) == url.rstrip("/")
    with pytest.raises(BaseUrlError):
        check_base_url(url, allows_private=False)


@pytest.mark.parametrize(
    "url", ["http://u:p@127.0.0.1/", "http://127.0.0.1/?a", "http://127.0.0.1/#a", "file:///x", "x"]
)
def test_private_or_not_it_is_a_plain_address(url: str) -> None:
    with pytest.raises(BaseUrlError):
        check_base_url(url, allows_private=True)


@given(st.integers(0, 2**32 - 1))
def test_any_ipv4_is_judged_by_what_it_is(number: int) -> None:
    text = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert (check_public_host(text) == "") == is_public_address(text)
    for spelling in (str(number), hex(number), f"0{number:o}"):
        assert check_public_host(spelling), "one spelling is enough"


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/v1"):
        try:
            taken = check_base_url(url, allows_private=False)
        except BaseUrlError:
            continue
        assert taken.isascii()
        assert taken[:8].lower() == "https://"
