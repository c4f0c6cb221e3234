"""Forms: any bytes come through whole, anything malformed is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.forms import MAX_PARTS, read_form

TYPE = "multipart/form-data; boundary=gap"


def part(disposition: str, content: bytes) -> bytes:
    return (
        b"--gap\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
    )


@given(st.binary(max_size=200).filter(lambda data: b"--gap" not in data))
def test_bytes_of_a_file_come_through(content: bytes) -> None:
    body = part('form-data; name="file"; filename="a b.bin"', content)
    file = read_form(TYPE, body + b"--gap--\r\n").file("file")
    assert (file.name, file.content) == ("a b.bin", content)


def test_fields_in_their_order() -> None:
    fields = [
        part('form-data; name="include[]"', b"one"),
        part('form-data; name="include[]"', b"2"),
    ]
    form = read_form(TYPE, b"".join(fields) + b"--gap--")
    assert form.fields == {"include": ["one", "2"]}
    assert form.text("none", "x") == "x"
    with pytest.raises(MockError, match="none"):
        form.text("none")


@pytest.mark.parametrize("text", ["0", "4", "-1", "x", "9" * 30, "²"])
def test_counts_are_checked(text: str) -> None:
    form = read_form(TYPE, part('form-data; name="n"', text.encode()) + b"--gap--")
    with pytest.raises(MockError):
        form.count("n", 1, 3)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--gap--"),
        (TYPE, b""),
        (TYPE, part('form-data; name="n"', b"cut off")),
        (TYPE, b"--gap\r\nno headers--gap--"),
        (TYPE, part("form-data", b"no name") + b"--gap--"),
        (TYPE, part('form-data; name="n"', b"") * (MAX_PARTS + 1) + b"--gap--"),
    ],
)
def test_malformed_forms(content_type: str, body: bytes) -> None:
    with pytest.raises(MockError) as caught:
        read_form(content_type, body)
    assert caught.value.status == 400
