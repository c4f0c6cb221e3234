"""The model of a form, found without taking the form apart."""

import pytest
from aiohttp import FormData
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequestError
from proxy.resources.multipart import boundary_of, find_model, form_references

BOUNDARY = b"--xyz"


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
    return BOUNDARY + b"\r\n" + head + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + BOUNDARY + b"--\r\n"


def test_the_model_is_found_wherever_it_stands() -> None:
    model, file = part("model", b"whisper-1"), part("file", b"\x00" * 999, '; filename="a.mp3"')
    for body in (form(model, file), form(file, model)):
        found = find_model(body, BOUNDARY)
        assert found is not None
        assert found.value == "whisper-1"
        assert body[found.start : found.end] == b"whisper-1"


def test_a_file_that_only_looks_like_a_model_is_none() -> None:
    inside = part("model", b"evil")[len(BOUNDARY) + 2 :]
    body = form(part("file", b"text\r\n" + inside, '; filename="model"'), part("prompt", b"x"))
    assert find_model(body, BOUNDARY) is None


@given(st.integers(0, 200))
def test_a_cut_form_shows_its_model_only_when_it_is_whole(cut: int) -> None:
    body = form(part("model", b"whisper-1"), part("language", b"en"))
    found = find_model(body[:cut], BOUNDARY)
    assert found is None or found.value == "whisper-1"


def test_a_model_too_long_to_be_one_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        find_model(form(part("model", b"m" * 257)), BOUNDARY)


def test_boundaries_in_both_spellings() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"--a b"
    assert boundary_of("multipart/form-data; charset=utf-8; Boundary=abc;x") == b"--abc"
    with pytest.raises(InvalidRequestError):
        boundary_of("multipart/form-data")


def test_what_aiohttp_writes_is_read() -> None:
    data = FormData()
    data.add_field("model", "gpt-image-1")
    data.add_field("image", b"\x89PNG", filename="a.png", content_type="image/png")
    payload = data()
    assert boundary_of(payload.headers["Content-Type"]).startswith(b"--")


def test_object_ids_in_a_form_are_seen() -> None:
    body = form(part("file_id", b"file-1"), part("image_ids[]", b"file-2"), part("prompt", b"x"))
    assert form_references(body, BOUNDARY) == [("file_id", "file-1"), ("image_ids", "file-2")]
