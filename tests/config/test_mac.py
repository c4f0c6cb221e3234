"""Mac is HMAC-SHA256: the standard library is the oracle."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from config.mac import Mac, hmac_sha256


@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
def test_the_digest_is_the_librarys(key: bytes, message: bytes) -> None:
    mac = Mac(key)
    expected = hmac.digest(key, message, "sha256")
    assert mac.digest(message) == expected
    assert mac.digest(message) == expected
    assert hmac_sha256(key, message) == expected
