"""Credentials for Bedrock: a bearer key, or AWS Signature Version 4 (pure; called by bedrock.py).

The signature covers the address, the headers given here and the body, and holds for minutes:
each attempt is signed anew.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

SERVICE = "bedrock"
ALGORITHM = "AWS4-HMAC-SHA256"
# ACCESS_KEY_ID:SECRET or ACCESS_KEY_ID:SECRET:SESSION_TOKEN; Bedrock's own API keys have no colon.
_KEY_PAIR = re.compile(r"([A-Z0-9]{16,128}):([^:\s]+)(?::([^:\s]+))?")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key of an AWS account; with a session token it is a temporary one."""

    access_key_id: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for: a region and a service."""

    region: str
    service: str = SERVICE


def read_key_pair(api_key: str) -> KeyPair | None:
    """Return the key pair an `api_key` of apex.yaml holds; None when it is a bearer key."""
    match = _KEY_PAIR.fullmatch(api_key)
    return KeyPair(match[1], match[2], match[3] or "") if match else None


def signed_headers(
    url: str, headers: Mapping[str, str], body: bytes, keys: KeyPair, scope: Scope, now_us: int
) -> dict[str, str]:
    """Return the headers of a POST with its signature; all of them are signed.

    `url` is encoded as it will be sent, `now_us` is in microseconds since 1970.
    """
    time = datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "X-Amz-Date": time}
    if keys.session_token:
        sent["X-Amz-Security-Token"] = keys.session_token
    names, request = canonical_request(url, sent, body)
    place = f"{time[:8]}/{scope.region}/{scope.service}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = _sign(keys.secret, place, f"{ALGORITHM}\n{time}\n{place}\n{digest}")
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={keys.access_key_id}/{place}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return sent


def canonical_request(url: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """Return the names of the signed headers and the text that is signed for a POST."""
    parts = urlsplit(url)
    fields = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    fields["host"] = parts.netloc
    names = ";".join(sorted(fields))
    lines = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields))
    # The path is encoded a second time: every service but S3 does it.
    path = quote(parts.path or "/", safe="/-_.~")
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    digest = hashlib.sha256(body).hexdigest()
    return names, f"POST\n{path}\n{query}\n{lines}\n{names}\n{digest}"


def _sign(secret: str, place: str, text: str) -> str:
    """Derive the key of this day, region and service, and sign with it."""
    key = f"AWS4{secret}".encode()
    for part in [*place.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
