"""Who is calling: the key in any of the headers clients use, checked against the live snapshot.

Called first by pipeline.py; nothing of the body is read before. A generated key is found by its id
and compared in constant time; an operator's own secret is found by its HMAC, which tells a prober
nothing about secrets that are close to it.
"""

import hmac
from collections.abc import Mapping

from policies.keys import key_hmac, parse_key_id
from policies.snapshot import KeyRecord, Snapshot
from proxy.errors import GatewayError

LONGEST_TOKEN_CHARACTERS = 512
KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")  # Azure's, Anthropic's, Google's clients
WEBSOCKET_KEY = "openai-insecure-api-key."
Peppers = Mapping[str, bytes]  # by id of the master key; "" is the snapshot's own


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


def identify(headers: Mapping[str, str], snapshot: Snapshot, peppers: Peppers) -> KeyRecord:
    """Return the key that signed this request, or raise 401."""
    return identify_token(bearer_of(headers), snapshot, peppers)


def identify_token(token: str, snapshot: Snapshot, peppers: Peppers) -> KeyRecord:
    """Return the key whose secret this is, or raise 401; one HMAC, whatever was sent."""
    if not token:
        raise _refusal("No API key was sent.")
    if len(token) > LONGEST_TOKEN_CHARACTERS or not token.isascii():
        raise _refusal("The API key is malformed.")
    record = snapshot.keys_by_id.get(parse_key_id(token) or "")
    digest = key_hmac(peppers[record.pepper_id if record is not None else ""], token)
    if record is None:  # an operator may declare any text as a secret, one we generated included
        record = snapshot.keys_by_hmac.get(digest)
    if record is None or not hmac.compare_digest(record.secret_hmac, digest):
        raise _refusal("The API key is not known here.")
    return record


def _refusal(message: str) -> GatewayError:
    return GatewayError(
        401,
        "invalid_api_key",
        message,
        "Send the key this gateway issued as `Authorization: Bearer <key>` "
        "(`api-key`, `x-api-key` and `x-goog-api-key` work too).",
        headers={"WWW-Authenticate": "Bearer"},
    )
