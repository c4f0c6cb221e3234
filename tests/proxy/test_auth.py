"""Who is calling: B6 on keys, point 31 of the wire list, and the key-check findings of B2."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.secrets import KeyRing
from policies.keys import generate_key, key_hmac
from policies.snapshot import KeyRecord, Snapshot
from proxy.auth import LONGEST_TOKEN_CHARACTERS, Peppers, bearer_of, identify_token
from proxy.errors import GatewayError
from tests.proxy.samples import KEY_RING, SECRET, key_record, request_headers, snapshot_with

PEPPER = {"": KEY_RING.pepper()}


def identify(headers: Mapping[str, str], snapshot: Snapshot, peppers: Peppers) -> KeyRecord:
    """As proxy.admission does it."""
    return identify_token(bearer_of(headers), snapshot, peppers)


def refused(snapshot: Snapshot, *pairs: tuple[str, str]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        identify(request_headers(*pairs), snapshot, PEPPER)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Bearer {SECRET}"),
        ("authorization", f"bearer {SECRET}"),
        ("AUTHORIZATION", f"BEARER  {SECRET} "),
        ("api-key", SECRET),
        ("X-Api-Key", SECRET),
    ],
)
def test_the_key_is_found_in_three_headers(header: tuple[str, str]) -> None:
    assert identify(request_headers(header), snapshot_with(), PEPPER).key_id == "app"


def test_another_scheme_leaves_the_other_headers_to_speak() -> None:
    headers = request_headers(("Authorization", "Basic dTpw"), ("api-key", SECRET))
    assert identify(headers, snapshot_with(), PEPPER).name == "app"
    assert bearer_of(request_headers(("Authorization", "Bearer"))) == ""


def test_a_bearer_token_is_not_overruled_by_another_header() -> None:
    error = refused(snapshot_with(), ("Authorization", "Bearer wrong"), ("api-key", SECRET))
    assert error.status == 401


def test_a_generated_key_is_known_by_its_id_and_its_secret() -> None:
    mine, other = generate_key(), generate_key()
    snapshot = snapshot_with(key_record(mine.key_id, secret=mine.secret))
    headers = request_headers(("api-key", mine.secret))
    assert identify(headers, snapshot, PEPPER).key_id == mine.key_id
    assert refused(snapshot, ("api-key", other.secret)).code == "invalid_api_key"


def test_keys_of_an_older_master_key_are_checked_under_its_pepper() -> None:
    old, new = generate_key(), generate_key()
    ring = KeyRing(b"n" * 32, "k2", {"k1": b"o" * 32})
    records = [
        KeyRecord(key.key_id, "acme", key.key_id, digest, {}, pepper_id=pepper_id)
        for key, pepper_id in ((old, "k1"), (new, "k2"))
        for digest in [key_hmac(ring.pepper_of(pepper_id), key.secret)]
    ]
    snapshot = snapshot_with(*records)
    peppers = {"": ring.pepper(), "k1": ring.pepper_of("k1"), "k2": ring.pepper_of("k2")}
    for key in (old, new):
        found = identify(request_headers(("api-key", key.secret)), snapshot, peppers)
        assert found.key_id == key.key_id
        swapped = {**peppers, "k1": peppers["k2"], "k2": peppers["k1"]}
        with pytest.raises(GatewayError):
            identify(request_headers(("api-key", key.secret)), snapshot, swapped)


def test_a_known_id_with_another_secret_is_refused() -> None:
    mine = generate_key()
    forged = snapshot_with(key_record(mine.key_id, secret="the-secret-of-somebody-else-entirely"))
    assert refused(forged, ("api-key", mine.secret)).status == 401


def test_an_operators_secret_may_look_like_one_of_ours() -> None:
    """A generated key moved into apex.yaml is found by its HMAC, under the operator's key id."""
    mine = generate_key()
    snapshot = snapshot_with(key_record("acme-app", secret=mine.secret))
    assert (
        identify(request_headers(("api-key", mine.secret)), snapshot, PEPPER).key_id == "acme-app"
    )


def test_another_pepper_knows_nobody() -> None:
    with pytest.raises(GatewayError):
        identify(request_headers(("api-key", SECRET)), snapshot_with(), {"": b"another pepper"})


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "x",
        SECRET + "x",
        SECRET[:-1],
        SECRET.upper(),
        "app",
        "acme",
        key_record().secret_hmac.hex(),
        "x" * (LONGEST_TOKEN_CHARACTERS + 1),
        "clé" * 12,
        "' OR 1=1 --",
        "\udcff" * 40,
    ],
)
def test_whatever_is_no_key_gets_a_401_in_the_shape_clients_read(token: str) -> None:
    error = refused(snapshot_with(), ("Authorization", f"Bearer {token}"))
    assert error.status == 401
    assert error.headers == {"WWW-Authenticate": "Bearer"}
    document = error.document()["error"]
    assert isinstance(document, dict)
    assert (document["code"], document["type"]) == ("invalid_api_key", "invalid_request_error")
    assert "Authorization: Bearer" in str(document["message"])


@given(st.text(max_size=60))
def test_no_text_gets_in(token: str) -> None:
    assert refused(snapshot_with(), ("api-key", token)).status == 401


def test_a_wrong_key_is_not_repeated_in_the_error() -> None:
    """B2: keys ended up in error texts and in logs elsewhere."""
    for canary in (generate_key().secret, "canary-" * 5):
        error = refused(snapshot_with(), ("api-key", canary))
        assert canary not in str(error.document()) + repr(error) + str(error.headers)


def test_the_same_secret_prefix_is_not_the_same_key() -> None:
    """B2, CVE-2026-35030: a cache keyed by the first characters took one caller for another."""
    first, second = SECRET + "-one", SECRET + "-two"
    snapshot = snapshot_with(key_record("one", "acme", first), key_record("two", "globex", second))
    assert identify(request_headers(("api-key", first)), snapshot, PEPPER).tenant == "acme"
    assert identify(request_headers(("api-key", second)), snapshot, PEPPER).tenant == "globex"
