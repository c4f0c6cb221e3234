"""The mock's /v1/responses; app.py calls add_responses_routes.

POST   /v1/responses                 text, tools, JSON schema, streams, background, stored
GET    /v1/responses/{id}            a background one completes when it is read the second time
DELETE /v1/responses/{id}            POST /v1/responses/{id}/cancel
GET    /v1/responses/{id}/input_items
POST   /v1/responses/input_tokens    POST   /v1/responses/compact
"""

import asyncio
from typing import Any

import orjson
from aiohttp import web

from proxy.providers.mock.completions import compose
from proxy.providers.mock.errors import MockError, wrong_value
from proxy.providers.mock.failing import cut_connection, fail_before_answer, stay_silent
from proxy.providers.mock.faults import HEALTHY, FaultPlan, read_plan
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.responses_rendering import response_document, usage_document
from proxy.providers.mock.responses_request import (
    ResponsesRequest,
    read_document,
    read_items,
    request_of,
)
from proxy.providers.mock.responses_sending import ResponseStream, Sending
from proxy.providers.mock.responses_store import (
    RESPONSES,
    KeptResponse,
    ResponseStore,
    conversation_id,
)
from proxy.providers.mock.state import Call
from proxy.providers.mock.text import count_tokens, digest_of


def add_responses_routes(app: web.Application) -> None:
    """Add the routes and the store behind them."""
    app[RESPONSES] = ResponseStore()
    router = app.router
    router.add_post("/v1/responses", create)
    router.add_post("/v1/responses/input_tokens", count_input)
    router.add_post("/v1/responses/compact", compact)
    router.add_get("/v1/responses/{id}", retrieve)
    router.add_delete("/v1/responses/{id}", delete)
    router.add_post("/v1/responses/{id}/cancel", cancel)
    router.add_get("/v1/responses/{id}/input_items", list_input)


async def create(http: web.Request) -> web.StreamResponse:
    call = Call(http)
    body = await http.read()
    request, before = _read(http, call, body)
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    kept = _answer(http, call, (request, before), plan)
    _keep(http, call, kept)
    if request.document.get("stream") is True:
        return await ResponseStream(Sending(http, call.headers(), plan, kept)).send()
    if request.is_background:
        return _json(call, kept.shown())
    return await _answer_whole(http, plan, kept)


def _read(
    http: web.Request, call: Call, body: bytes
) -> tuple[ResponsesRequest, list[dict[str, Any]]]:
    """Read a request with all that came before it; only what its own key keeps is found."""
    document, store = read_document(body), http.app[RESPONSES]
    before = store.before(call.api_key, document)
    items = store.resolve(call.api_key, read_items(document))
    return request_of(document, items, before), before


def _answer(
    http: web.Request,
    call: Call,
    asked: tuple[ResponsesRequest, list[dict[str, Any]]],
    plan: FaultPlan,
) -> KeptResponse:
    request, before = asked
    answer = compose(request.chat, plan.wishes())
    prompt = request.chat.prompt
    usage = Usage(
        prompt_tokens=prompt.tokens,
        cached_tokens=call.state.prompt_cache.match(call.owner(request.chat.model), prompt),
        audio_tokens=prompt.audio_tokens,
        output_tokens=answer.choices[0].count_tokens(),
        reasoning_tokens=answer.reasoning_tokens,
    )
    seed = orjson.dumps(request.document, option=orjson.OPT_SORT_KEYS)
    if request.is_kept:
        name = http.app[RESPONSES].responses.new_id("resp", call.api_key, seed)
    else:
        name = f"resp_{digest_of(seed).hex()}"
    said = None if plan.garbage == "no-usage" else usage
    conversation = conversation_id(request.document)
    document = response_document(request, answer, said, name, conversation)
    status = "queued" if request.is_background else document["status"]
    return KeptResponse(request, before, document, usage, call, status)


def _keep(http: web.Request, call: Call, kept: KeptResponse) -> None:
    store, name = http.app[RESPONSES], conversation_id(kept.request.document)
    if kept.request.is_kept:
        store.responses.put(call.api_key, kept.document["id"], kept)
    if name:
        store.extend(call.api_key, name, [*kept.request.items, *kept.document["output"]])


async def _answer_whole(
    http: web.Request, plan: FaultPlan, kept: KeptResponse
) -> web.StreamResponse:
    tokens, body = kept.usage.output_tokens, orjson.dumps(kept.document)
    if plan.token_ms:
        await asyncio.sleep(plan.token_ms * tokens / 1000)
    if plan.garbage == "broken-json":
        body = body[: len(body) // 2]
    limits = (plan.cut_after_tokens, plan.silence_after_tokens)
    is_cut = plan.silence is not None or limits != (None, None)
    is_complete = plan.garbage != "broken-json" and not is_cut
    kept.call.charge(kept.request.chat.model, kept.usage, is_complete=is_complete)
    if is_cut:
        return await _answer_partly(http, plan, kept, body)
    headers = kept.call.headers()
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _answer_partly(
    http: web.Request, plan: FaultPlan, kept: KeptResponse, body: bytes
) -> web.StreamResponse:
    """Promise the whole body, send half of it or none, then hang or close."""
    headers = {**kept.call.headers(), "Content-Type": "application/json"}
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(http)
    if not plan.silence:
        await response.write(body[: len(body) // 2])
    if plan.cut_after_tokens is None:
        await stay_silent(http)
    cut_connection(http)
    return response


async def count_input(http: web.Request) -> web.Response:
    call = Call(http)
    request, _ = _read(http, call, await http.read())
    count = request.chat.prompt.tokens
    return _json(call, {"object": "response.input_tokens", "input_tokens": count})


async def compact(http: web.Request) -> web.Response:
    """Keep what users said and seal the rest into one item, which costs a few tokens."""
    call, body = Call(http), await http.read()
    request, before = _read(http, call, body)
    items = [*before, *request.items]
    sealed = digest_of(orjson.dumps(items)).hex()
    usage = Usage(request.chat.prompt.tokens, output_tokens=count_tokens(sealed))
    call.charge(request.chat.model, usage, is_complete=True)
    item = {"id": f"cmp_{sealed}", "type": "compaction", "encrypted_content": sealed}
    return _json(call, {
        "id": http.app[RESPONSES].responses.new_id("resp", call.api_key, body),
        "object": "response.compaction",
        "created_at": 1_700_000_000,
        "output": [*(each for each in items if each.get("role") == "user"), item],
        "usage": usage_document(usage),
    })  # fmt: skip


async def retrieve(http: web.Request) -> web.StreamResponse:
    call = Call(http)
    kept = _find(http, call)
    if http.query.get("stream") not in {"true", "1"}:
        return _json(call, kept.look(call))
    if not kept.request.is_background:
        raise wrong_value("stream", "only a background response can be streamed again.")
    after = http.query.get("starting_after", "-1")
    if not after.removeprefix("-").isdecimal() or len(after) > 9:
        raise wrong_value("starting_after", "expected an integer.")
    return await ResponseStream(
        Sending(http, call.headers(), HEALTHY, kept, after=int(after))
    ).send()


async def delete(http: web.Request) -> web.Response:
    call = Call(http)
    name = http.match_info["id"]
    http.app[RESPONSES].responses.drop(call.api_key, name)
    return _json(call, {"id": name, "object": "response", "deleted": True})


async def cancel(http: web.Request) -> web.Response:
    call = Call(http)
    kept = _find(http, call)
    if not kept.request.is_background:
        raise MockError("Cannot cancel a synchronous response.", param="response_id")
    return _json(call, kept.cancel())


async def list_input(http: web.Request) -> web.Response:
    call = Call(http)
    kept = _find(http, call)
    items = [*kept.before, *kept.request.items]
    if http.query.get("order") != "asc":
        items.reverse()
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {}
    return _json(call, {"object": "list", "data": items, "has_more": False, **ends})


def _find(http: web.Request, call: Call) -> KeptResponse:
    return http.app[RESPONSES].responses.get(call.api_key, http.match_info["id"])


def _json(call: Call, document: object) -> web.Response:
    body = orjson.dumps(document)
    return web.Response(body=body, content_type="application/json", headers=call.headers())
