"""Signatures of snapshots: what is altered or of others is refused, and whom a home trusts."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.snapshot_signing import PIN_FILE, SnapshotSigner, open_signed, read_pin, write_pin

RING = KeyRing(b"m" * 32)
SIGNER = SnapshotSigner.make()
DOCUMENT = b'{"number":1,"keys":["a"]}'


def test_a_signed_document_is_still_json_with_every_field() -> None:
    signed = SIGNER.sign(DOCUMENT)
    read = orjson.loads(signed)
    assert len(read.pop("signature")) == 88
    assert read == orjson.loads(DOCUMENT)
    assert open_signed(signed, SIGNER.public_key) == DOCUMENT


@given(st.data())
def test_whatever_is_altered_is_refused(data: st.DataObject) -> None:
    signed = bytearray(SIGNER.sign(DOCUMENT))
    place = data.draw(st.integers(0, len(signed) - 1))
    signed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConfigError):
        open_signed(bytes(signed), SIGNER.public_key)


@pytest.mark.parametrize("unsigned", [DOCUMENT, b"", b'{"signature":"', b'{"signature":"x","a":1}'])
def test_without_a_signature_nothing_is_opened(unsigned: bytes) -> None:
    with pytest.raises(ConfigError):
        open_signed(unsigned, SIGNER.public_key)


def test_another_signer_is_not_trusted() -> None:
    signed = SnapshotSigner.make().sign(DOCUMENT)
    with pytest.raises(ConfigError) as raised:
        open_signed(signed, SIGNER.public_key)
    assert "not trusted" in raised.value.message


def test_a_key_comes_back_from_its_bytes() -> None:
    again = SnapshotSigner.load(SIGNER.private_bytes())
    assert again.public_key == SIGNER.public_key
    assert again.public_pem().startswith("-----BEGIN PUBLIC KEY-----")
    assert SIGNER.private_bytes() not in SIGNER.public_pem().encode()


def test_only_the_holder_of_the_master_key_says_whom_to_trust(tmp_path: Path) -> None:
    assert read_pin(tmp_path, RING) is None
    write_pin(tmp_path, SIGNER.public_key, RING)
    assert read_pin(tmp_path, RING) == SIGNER.public_key
    write_pin(tmp_path, SnapshotSigner.make().public_key, KeyRing(b"thief" * 8))
    with pytest.raises(ConfigError):
        read_pin(tmp_path, RING)
    (tmp_path / PIN_FILE).write_bytes(SIGNER.public_key)
    with pytest.raises(ConfigError):
        read_pin(tmp_path, RING)
