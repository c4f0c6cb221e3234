"""One-time codes: the published test vectors, the window, what is not one."""

from urllib.parse import parse_qs, urlsplit

import pytest

from admin_api.people.totp import code_at, describe, find_step, make_secret, spell, step_of

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("second", "code"),  # the last six digits of RFC 6238, appendix B, SHA-1
    [
        (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"),
        (1_234_567_890, "005924"), (2_000_000_000, "279037"), (20_000_000_000, "353130"),
    ],
)  # fmt: skip
def test_the_published_vectors(second: int, code: str) -> None:
    assert code_at(RFC_SECRET, step_of(second)) == code


def test_a_code_is_found_one_step_around() -> None:
    now = 1_790_000_010.0
    step = step_of(now)
    for around in (-1, 0, 1):
        assert find_step(RFC_SECRET, code_at(RFC_SECRET, step + around), now) == step + around
    for around in (-2, 2):
        assert find_step(RFC_SECRET, code_at(RFC_SECRET, step + around), now) is None


@pytest.mark.parametrize(
    "code", ["", "0", "28708\uff12", "287082 ", "-87082", "28708287082", "\ud800"]
)
def test_what_is_no_code(code: str) -> None:
    assert find_step(RFC_SECRET, code, 59.0) is None


def test_an_app_can_read_the_secret() -> None:
    secret = make_secret()
    uri = describe(secret, "ada+x@example.com", "Netra Apex")
    parts = urlsplit(uri)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Netra%20Apex%3Aada%2Bx%40example.com"
    assert query["secret"] == spell(secret)
    assert (query["digits"], query["period"], query["algorithm"]) == ("6", "30", "SHA1")
