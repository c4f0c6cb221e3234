"""Who is calling: the key in any of the headers clients use, checked against the live snapshot.

Called first by pipeline.py; nothing of the body is read before. A generated key is found by its id
and compared in constant time; an operator's own secret is found by its HMAC, which tells a prober
nothing about secrets that are close to it.
"""

import hmac
from collections.abc import Collection, Mapping

from policies.keys import key_hmac, parse_key_id
from policies.snapshot import KeyRecord, Snapshot
from proxy.errors import GatewayError

CONTROL_RETRY_S = 5
STALE_RETRY_S = 30
LONGEST_TOKEN_CHARACTERS = 512
KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")  # Azure's, Anthropic's, Google's clients
NOT_KNOWN = "The API key is not known here."
CHALLENGE = {"WWW-Authenticate": "Bearer"}
WEBSOCKET_KEY = "openai-insecure-api-key."
Peppers = Mapping[str, bytes]  # by id of the master key; "" is the snapshot's own


class UnknownKeyError(GatewayError):
    """401: no key of this snapshot is this one."""

    def __init__(self, message: str) -> None:
        super().__init__(
            401,
            "invalid_api_key",
            message,
            "Send the key this gateway issued as `Authorization: Bearer <key>` "
            "(`api-key`, `x-api-key` and `x-goog-api-key` work too).",
            headers=CHALLENGE,
        )
        self.reason = message


def bearer_of(headers: Mapping[str, str]) -> str:
    """Return the caller's key, or "" when none of the headers carries one."""
    authorization = headers.get("Authorization", "")
    scheme, _, token = authorization.partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    for name in KEY_HEADERS:
        if name in headers:
            return headers[name].strip()
    return _websocket_key(headers.get("Sec-WebSocket-Protocol", ""))


def _websocket_key(protocols: str) -> str:
    """A browser's web socket can send no header but this list; OpenAI reads the key from it."""
    for protocol in protocols.split(","):
        if protocol.strip().startswith(WEBSOCKET_KEY):
            return protocol.strip().removeprefix(WEBSOCKET_KEY)
    return ""


def identify_token(token: str, snapshot: Snapshot, peppers: Peppers) -> KeyRecord:
    """Return the key whose secret this is, or raise 401; one HMAC, whatever was sent."""
    if not token:
        raise UnknownKeyError("No API key was sent.")
    if len(token) > LONGEST_TOKEN_CHARACTERS or not token.isascii():
        raise UnknownKeyError("The API key is malformed.")
    record = snapshot.keys_by_id.get(parse_key_id(token) or "")
    digest = key_hmac(peppers[record.pepper_id if record is not None else ""], token)
    if record is None:  # an operator may declare any text as a secret, one we generated included
        record = snapshot.keys_by_hmac.get(digest)
    if record is None or not hmac.compare_digest(record.secret_hmac, digest):
        raise UnknownKeyError(NOT_KNOWN)
    return record


def check_expiry(record: KeyRecord, now: float) -> None:
    """Raise 401 when the key has ended; `now` in Unix seconds."""
    if record.expires_at is not None and record.expires_at <= now:
        hint = "Use the key that replaced it, or have another made."
        raise GatewayError(401, "key_expired", "The API key has expired.", hint, headers=CHALLENGE)


def explain_unknown(
    error: UnknownKeyError, token: str, revoked: Collection[str], *, is_doubtful: bool
) -> GatewayError:
    """Return what a caller is told whose key is not in the snapshot.

    While nobody vouches for the snapshot a well-formed key may be a new one: that is no 401, on
    which clients give up.
    """
    key_id = parse_key_id(token)
    if key_id is not None and key_id in revoked:
        hint = "Use the key that replaced it, or have another made."
        return GatewayError(401, "key_revoked", "The API key was revoked.", hint, headers=CHALLENGE)
    if not is_doubtful or error.reason != NOT_KNOWN:
        return error
    return GatewayError(
        503,
        "key_not_verifiable",
        "The API key is not known here, and the control plane, which may have made it, is away.",
        "Try again in some seconds; keys that were known before are served meanwhile.",
        headers={"Retry-After": str(CONTROL_RETRY_S)},
    )


def closed() -> GatewayError:
    """Return what everybody is told past the time that a snapshot holds without control plane."""
    return GatewayError(
        503,
        "snapshot_stale",
        "The control plane has been away for too long: keys may have been revoked since.",
        "The operator starts it again, or raises APEX_SNAPSHOT_MAX_STALE_S.",
        headers={"Retry-After": str(STALE_RETRY_S)},
    )
