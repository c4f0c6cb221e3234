"""A provider that quotes our key in its error tells it to us, and to nobody else."""

import pytest

from proxy.redaction import without_key


@pytest.mark.parametrize(
    ("body", "key", "expected"),
    [
        (b'{"error": "key sk-12345678 is bad"}', "sk-12345678", b'{"error": "key [key] is bad"}'),
        (b"sk-12345678sk-12345678", "sk-12345678", b"[key][key]"),
        (b"nothing of it", "sk-12345678", b"nothing of it"),
        (b"a test key", "key", b"a test key"),
        (b"anything", "", b"anything"),
    ],
)
def test_the_key_is_taken_out(body: bytes, key: str, expected: bytes) -> None:
    assert without_key(body, key) == expected
