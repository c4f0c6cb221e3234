"""The sealed record: there and back, never in clear, and what is not one is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.secrets import KeyRing
from ledger.unmetered_record import SEAL_PURPOSE, UnmeteredRecord, open_record, seal_record

RING = KeyRing(b"k" * 32)
RECORD = UnmeteredRecord(b'{"kind":"end"}', b"a canary", 8, b"an answer", 9000)


@given(st.binary(), st.binary(), st.binary(), st.integers(0, 2**40))
def test_there_and_back(end: bytes, body: bytes, answer: bytes, total: int) -> None:
    record = UnmeteredRecord(end, body, total, answer, total + 1)
    assert open_record(seal_record(record, RING), RING) == record


def test_nothing_of_it_is_in_clear() -> None:
    sealed = seal_record(RECORD, RING)
    assert not any(text in sealed for text in (b"canary", b"answer", b"kind", b"schema"))


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealed = bytearray(seal_record(RECORD, RING))
    sealed[place] ^= 1
    with pytest.raises(ConfigError):
        open_record(bytes(sealed), RING)


def test_another_master_key_or_purpose_does_not_open_it() -> None:
    with pytest.raises(ConfigError):
        open_record(seal_record(RECORD, RING), KeyRing(b"o" * 32))
    with pytest.raises(ConfigError):
        open_record(RING.seal("snapshot", b"{}\n"), RING)


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"[]\n",
        b'{"schema":2}\n',
        b'{"schema":1}\n',
        b"not json\nrest",
        orjson.dumps({"schema": 1, "end_bytes": 5, "body_bytes": 0, "answer_bytes": 0}) + b"\nend",
        orjson.dumps({"schema": 1, "end_bytes": -1, "body_bytes": 1, "answer_bytes": 0}) + b"\n",
        orjson.dumps({"schema": 1, "end_bytes": 0, "body_bytes": 0, "answer_bytes": True}) + b"\n",
    ],
)
def test_what_is_sealed_but_no_record(plain: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        open_record(RING.seal(SEAL_PURPOSE, plain), RING)
