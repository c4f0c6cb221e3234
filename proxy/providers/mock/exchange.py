"""One call to any route of the mock, opened the same way everywhere. Used by the route modules.

`opened` wraps a function of an Exchange into a handler: it checks the key, reads the body, and
carries out what the x-mock-* headers ask for before there is an answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from proxy.providers.mock.buckets import Buckets, Charge
from proxy.providers.mock.errors import wrong_type
from proxy.providers.mock.failing import fail_before_answer
from proxy.providers.mock.faults import FaultPlan, read_plan
from proxy.providers.mock.forms import Form, read_form
from proxy.providers.mock.shelf import Document, Place, Shelf
from proxy.providers.mock.state import Call
from proxy.providers.mock.text import digest_of
from proxy.providers.mock.validation import parse_body


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call that is going to be answered: who asks, for what, and what must go wrong."""

    http: web.Request
    call: Call
    plan: FaultPlan
    body: bytes

    @property
    def shelf(self) -> Shelf:
        return self.call.state.shelf

    @property
    def id(self) -> str:
        """The object's id in the path."""
        return self.http.match_info["id"]

    def place(self, kind: str, parent: str = "") -> Place:
        return Place(digest_of(self.call.api_key.encode("utf-8", "surrogateescape")), kind, parent)

    def document(self) -> Document:
        """Return the JSON body; none at all is an empty object. MockError when it is broken."""
        return parse_body(self.body) if self.body.strip() else {}

    def form(self) -> Form:
        """Return the multipart body; Azure names the model in the path only."""
        form = read_form(self.http.headers.get("Content-Type", ""), self.body)
        deployment = self.http.match_info.get("deployment")
        if deployment is not None:
            form.fields["model"] = [deployment]
        return form

    def seed(self) -> bytes:
        return digest_of(self.body)

    def charge(self, model: str, buckets: Buckets, units: dict[str, float] | None = None) -> None:
        """Bill a whole answer; the units are what is not sold by the token."""
        is_complete = self.plan.garbage != "broken-json"
        self.call.charge_for(Charge(model, buckets, units=units), is_complete=is_complete)

    def json(self, document: Document) -> web.Response:
        if self.plan.garbage == "no-usage":
            document = {key: value for key, value in document.items() if key != "usage"}
        body = orjson.dumps(document)
        if self.plan.garbage == "broken-json":
            body = body[: len(body) // 2]
        return self.content(body, "application/json")

    def content(self, body: bytes, content_type: str) -> web.Response:
        headers = {**self.call.headers(), "Content-Type": content_type}
        return web.Response(body=body, headers=headers)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def opened(answer: Callable[[Exchange], Awaitable[web.StreamResponse]]) -> Handler:
    """Turn a function of an Exchange into a handler of aiohttp."""

    async def handle(http: web.Request) -> web.StreamResponse:
        call = Call(http)
        body = await read_body(http)
        attempt = body or f"{http.method} {http.path_qs}".encode()
        plan = call.state.attempts.settle(read_plan(http.headers), attempt)
        failure = await fail_before_answer(http, call, plan)
        if failure is not None:
            return failure
        return await answer(Exchange(http, call, plan, body))

    return handle


async def read_body(http: web.Request) -> bytes:
    """Read the body; where Azure's path names the deployment, it is the model of a JSON body."""
    body = await http.read()
    deployment = http.match_info.get("deployment")
    if deployment is None or not http.content_type.endswith("json"):
        return body
    return orjson.dumps({**parse_body(body), "model": deployment})


def read_metadata(document: Document) -> dict[str, Any]:
    metadata = document.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    return metadata


def read_text(document: Document, name: str, default: str | None = None) -> str | None:
    """Return an optional field that must be a string; MockError when it is something else."""
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return value
