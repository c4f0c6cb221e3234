"""POSTs that are repeated under the same Idempotency-Key: made once, answered alike for a day.

Used by serving.py. Refusals are answers too. A call that may have taken effect is never made again:
when its answer was lost, the caller is told so.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

from admin_api.calls import Call
from admin_api.errors import AdminError, problem_response
from config.errors import ConfigError
from policies.idempotent_calls import (
    ClaimedCall,
    FirstCall,
    claim_call,
    keep_answer,
    release_call,
)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MOST_KEY_CHARACTERS = 255
IN_FLIGHT_S = 60.0  # longer than any call takes; after it the process that made it is gone
KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Cache-Control")
_PURPOSE = "idempotent-answer"


def read_idempotency_key(request: web.Request) -> str | None:
    """The key of a request, None without one. AdminError 400."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not key or len(key) > MOST_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        message = f"an {HEADER} has 1 to {MOST_KEY_CHARACTERS} printable ASCII characters"
        raise AdminError(400, "invalid_idempotency_key", message, "a random UUID is a good one")
    return key


async def answer_once(
    call: Call, key: str, request: web.Request, run: Callable[[], Awaitable[web.Response]]
) -> web.Response:
    """Run a call that is the first under its key; answer any other as the first was. AdminError."""
    engine, now = call.context.sql, call.context.clock.now()
    claimed = ClaimedCall(call.actor.name, key, await _hash_of(request))
    first = await claim_call(engine, claimed, now)
    if first is not None:
        return _replay(call, claimed, first)
    try:
        response = await run()
    except AdminError as error:
        if error.status >= 500:
            await release_call(engine, claimed)
            raise
        response = problem_response(error)
    await keep_answer(engine, claimed, response.status, _seal(call, claimed, response))
    return response


async def _hash_of(request: web.Request) -> str:
    """Of what makes two calls the same one: method, path with its query, and body."""
    body = hashlib.sha256(await request.read()).hexdigest()
    parts = [request.method, request.path_qs, request.headers.get("If-Match", ""), body]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _replay(call: Call, claimed: ClaimedCall, first: FirstCall) -> web.Response:
    if first.request_hash != claimed.request_hash:
        message = f"this {HEADER} was sent with another request before"
        raise AdminError(422, "idempotency_key_reused", message, "make a new key for each new call")
    if first.status is None or first.answer_sealed is None:
        raise _no_answer(first.age_s)
    try:
        kept = orjson.loads(call.context.key_ring.unseal(_PURPOSE, first.answer_sealed))
    except ConfigError:
        raise _no_answer(IN_FLIGHT_S) from None
    if [kept["caller"], kept["key"]] != [claimed.caller, claimed.key]:
        raise _no_answer(IN_FLIGHT_S)
    headers = CIMultiDict({**kept["headers"], REPLAYED: "true"})
    return web.Response(status=first.status, body=kept["body"].encode(), headers=headers)


def _no_answer(age_s: float) -> AdminError:
    if age_s < IN_FLIGHT_S:
        message = f"the first call with this {HEADER} is still under way"
        return AdminError(409, "idempotent_call_in_flight", message, "repeat it in a second")
    message = f"the first call with this {HEADER} was cut off, and its answer is lost"
    hint = "GET what it was to make or change; if it is not there, repeat it with a new key"
    return AdminError(409, "idempotent_answer_lost", message, hint)


def _seal(call: Call, claimed: ClaimedCall, response: web.Response) -> bytes:
    """Bound to caller and key: a row that was moved is nobody's answer."""
    body = response.body
    assert body is None or isinstance(body, bytes)
    kept: dict[str, Any] = {
        "caller": claimed.caller,
        "key": claimed.key,
        "headers": {
            name: response.headers[name] for name in KEPT_HEADERS if name in response.headers
        },
        "body": (body or b"").decode(),
    }
    return call.context.key_ring.seal(_PURPOSE, orjson.dumps(kept))
