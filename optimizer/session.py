"""Who a request belongs to: the session that is the unit of assignment, and its unit draws.

Called by the proxy before decide. Raw values never leave the request: events carry hashes.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from config.mac import hmac_sha256
from optimizer.decision import Draws

SAMPLE_BYTES = 512
# By endpoint: what stands before the turns, the list of turns, and where a turn says its words.
_TURNS = {
    "responses": (("instructions",), "input", "content"),
    "messages": (("system",), "messages", "content"),
    "gemini": (("systemInstruction", "system_instruction"), "contents", "parts"),
}
_KEPT_AT_PROVIDER = ("conversation", "previous_response_id")


def session_of(session_header: str, user: str, first_messages_bytes: bytes) -> tuple[str, str]:
    """The session and where it came from: "header", "user", "conversation" or "none"."""
    if session_header:
        return session_header, "header"
    if user:
        return user, "user"
    if first_messages_bytes:
        return hashlib.sha256(first_messages_bytes).hexdigest()[:32], "conversation"
    return "", "none"


def opening_of(doc: Mapping[str, Any], endpoint: str = "chat") -> bytes:
    """What stays the same while a conversation grows: all up to the first user message, sampled.

    Long texts count by length, start and end, so that a big prompt is not hashed a second time. A
    Response in a conversation kept at the provider is known by the id of what it continues.
    """
    parts: list[bytes] = []
    if endpoint in _TURNS:
        _sample_opening(parts, doc, *_TURNS[endpoint])
        return b"\x00".join(parts)
    messages = doc.get("messages")
    if isinstance(messages, list):
        _sample_turns(parts, messages, "content")
        return b"\x00".join(parts)
    _sample(parts, doc.get("prompt" if endpoint == "completions" else "input"))
    return b"".join(parts)


def _sample_opening(
    parts: list[bytes], doc: Mapping[str, Any], heads: tuple[str, ...], turns: str, content: str
) -> None:
    for name in _KEPT_AT_PROVIDER:
        if doc.get(name):
            parts.append(name.encode())
            _sample(parts, _id_of(doc[name]))
            return
    for name in heads:
        _sample(parts, doc.get(name))
    value = doc.get(turns)
    if isinstance(value, list):
        _sample_turns(parts, value, content)
    else:
        _sample(parts, value)


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, dict) else value


def _sample_turns(parts: list[bytes], turns: list[Any], content: str) -> None:
    for turn in turns:
        if isinstance(turn, dict):
            role = turn.get("role")
            parts.append(str(role).encode(errors="replace"))
            _sample(parts, turn.get(content))
            if role == "user":
                return


def _sample(parts: list[bytes], content: object) -> None:
    if isinstance(content, str):
        head, tail = content[:SAMPLE_BYTES], content[-SAMPLE_BYTES:]
        parts.append(f"{len(content)}\x00{head}\x00{tail}".encode(errors="replace"))
    elif isinstance(content, dict):
        _sample(parts, content.get("text"))
        _sample(parts, content.get("image_url"))
        _sample(parts, content.get("url"))
    elif isinstance(content, list):
        parts.append(str(len(content)).encode())
        for part in content[:16]:
            _sample(parts, part)
    elif content is not None:
        parts.append(str(content)[:SAMPLE_BYTES].encode(errors="replace"))


def subject_hash(key: bytes, value: str) -> str:
    """A session or user as events carry it: 32 hex digits, or "" for none."""
    if not value:
        return ""
    return hmac_sha256(key, value.encode(errors="replace")).hex()[:32]


def unit_draw(salt: bytes, tenant: str, session: str) -> float:
    """A uniform draw in [0, 1) with 53 bits, the same for every request of a session."""
    # Tenant names cannot contain NUL, so no two (tenant, session) pairs give the same message.
    message = f"{tenant}\x00{session}".encode(errors="replace")
    bits = int.from_bytes(hmac_sha256(salt, message)[:8], "big") >> 11
    return float(bits / (1 << 53))


def draw_arms(holdout_salt: bytes, canary_salt: bytes, tenant: str, session: str) -> Draws:
    """Both draws of a session; the salts must differ, or the canary would mirror the holdout."""
    return Draws(
        holdout=unit_draw(holdout_salt, tenant, session),
        canary=unit_draw(canary_salt, tenant, session),
    )
