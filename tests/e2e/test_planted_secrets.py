"""Secrets planted in every place that takes one turn up in none of what the gateway writes or says.

Looked for as they are, in hexadecimal and in base64 at every offset: in the log, in answers of both
ports, in metrics, and in every file below the home. What is encrypted is looked through as well.
"""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from config.operator_model import OperatorConfig
from tests.fault_replies import Reply, chat_document, json_reply, ok_json, ok_stream
from tests.fault_upstream import FaultUpstream
from tests.gateway import Gateway, wait_until

PLANTED = {
    "provider key": "sk-planted-provider-key-Zq4v8Wm2Xr6T",
    "own key of a tenant": "sk-planted-own-key-of-acme-Hn3c7Bk9Jd5F",
    "own key that was replaced": "sk-planted-old-key-of-acme-Pw1s6Ly8Gx2E",
    "key of the operator over the API": "sk-planted-api-upstream-key-Ut5r9Qa3Vz7C",
    "API key": "planted-api-key-secret-of-acme-Mb8n4Kf6Rj1Y",
    "master key": "planted-master-key-of-the-gateway-Ds2g7Xe5Wh9N",
    "OIDC client secret": "planted-oidc-client-secret-Eb6m1Rv8Yk4D",
    "admin token": "planted-admin-token-of-the-operator-Ci4p8Zu6Tl3Q",
}
CONFIG = """
upstreams:
  first: {{kind: openai, base_url: "{url}", api_key: "env:PLANTED_PROVIDER", allow_private: true}}
models:
  house: {{upstreams: [first]}}
tenants:
  acme: {{keys: [{{name: app, secret: "env:PLANTED_KEY"}}], policy: balanced}}
  globex: {{keys: [{{name: made}}], policy: passthrough}}
"""
IDENTITY = """
identity:
  public_url: https://apex.acme.com
  issuers: {{local: {{issuer: "{url}", client_id: apex, client_secret: "env:PLANTED_OIDC"}}}}
"""


def forms_of(secret: str) -> list[bytes]:
    """How a secret may look in a file: plain, hex, and base64 wherever it begins."""
    plain = secret.encode()
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode(), plain[::-1]]
    for offset in range(3):
        whole = base64.b64encode(b"x" * offset + plain)
        inner = whole[4 if offset else 0 : -4]  # what does not depend on the neighbours
        forms += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return forms


def leaks_in(data: bytes) -> list[str]:
    return [
        name for name, secret in PLANTED.items() if any(each in data for each in forms_of(secret))
    ]


class Witness:
    """Keeps everything that was ever answered, by where it came from."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.heard: list[tuple[str, bytes]] = []

    async def call(self, path: str, body: Any = None, **headers: str) -> int:
        """A call of the data plane."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": f"Bearer {PLANTED['API key']}", **named}
        return await self._ask(f"{self._gateway.proxy_url}{path}", body, given)

    async def until_well(self, provider: FaultUpstream) -> None:
        """Until the breaker has had its rest."""
        provider.fallback = ok_json()

        async def is_well() -> bool:
            return await self.call("/v1/chat/completions", HELLO) == 200

        await wait_until(is_well, 60.0)

    async def admin(self, path: str, body: Any = None, *, method: str = "") -> int:
        given = {"Authorization": f"Bearer {PLANTED['admin token']}"}
        return await self._ask(f"{self._gateway.admin_url}{path}", body, given, method)

    async def _ask(self, url: str, body: Any, headers: dict[str, str], method: str = "") -> int:
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        method = method or ("GET" if body is None else "POST")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=data, headers=headers) as reply,
        ):
            said = await reply.read()
            self.heard.append((f"{method} {url}", repr(reply.raw_headers).encode() + said))
            return reply.status


def echoing(status: int, secret: str) -> Reply:
    """A provider that quotes the key it was sent, as some do."""
    error = {"message": f"Incorrect API key provided: {secret}.", "type": "x", "code": secret}
    return replace(json_reply({"error": error}, status), headers=(("x-echo", f"Bearer {secret}"),))


HELLO = {"model": "house", "messages": [{"role": "user", "content": "hello"}]}


async def use_the_data_plane(witness: Witness, provider: FaultUpstream, secret: str) -> None:
    """Good answers, streams, every kind of failure, and callers who are confused."""
    await witness.until_well(provider)
    provider.script(ok_stream())
    await witness.call("/v1/chat/completions", {**HELLO, "stream": True})
    provider.script(ok_json(chat_document(usage=None)))  # its tokens are counted from a sealed copy
    await witness.call("/v1/chat/completions", {**HELLO, "user": "estimated"})
    for status in (400, 401, 403, 404, 422, 429, 500):
        provider.fallback = echoing(status, secret)
        body = {**HELLO, "user": f"status-{status}"}
        assert await witness.call("/v1/chat/completions", body) >= 400
        await witness.call("/v1/chat/completions", {**body, "stream": True})
    for path in ("/v1/files", "/v1/images/generations"):
        provider.fallback = echoing(400, secret)
        said: Any = None if path == "/v1/files" else {"model": "house", "prompt": "x"}
        assert await witness.call(path, said) >= 400
    provider.fallback = ok_json()
    await witness.call("/v1/chat/completions", b"{not json")
    await witness.call("/v1/models")
    await witness.call("/v1/files")
    wrong = f"Bearer {PLANTED['admin token']}"
    assert await witness.call("/v1/chat/completions", HELLO, Authorization=wrong) == 401


async def use_the_control_plane(witness: Witness) -> None:
    acme = "/admin/v1/tenants/acme/credentials"
    for path in (
        acme, f"{acme}/own", "/admin/v1/credentials", "/admin/v1/upstreams", "/admin/v1/prices",
        "/admin/v1/upstreams/first", "/admin/v1/usage", "/admin/v1/usage?group_by=key",
        "/admin/v1/conservation", "/admin/v1/tenants", "/admin/v1/tenants/acme/keys",
        "/admin/v1/master-key", "/health/ready", "/health/metrics", "/admin/v1/nothing",
    ):  # fmt: skip
        await witness.admin(path)
    secret = PLANTED["own key of a tenant"]
    bad = {"name": "x/y", "provider": "nobody", "host": "a/b", "secret": f"{secret} "}
    for body in (bad, {"secret": [secret]}, secret.encode(), b'{"secret": "' + secret.encode()):
        assert await witness.admin(acme, body) >= 400
    await witness.admin("/admin/v1/master-key/rotate", {})


async def test_no_planted_secret_leaves_a_trace(tmp_path: Path) -> None:
    environ = {
        "APEX_ENVIRONMENT": "production",
        "APEX_LOG_FORMAT": "json",
        "APEX_MASTER_KEY": PLANTED["master key"],
        "APEX_ADMIN_TOKEN": PLANTED["admin token"],
        "PLANTED_PROVIDER": PLANTED["provider key"],
        "PLANTED_KEY": PLANTED["API key"],
        "PLANTED_OIDC": PLANTED["OIDC client secret"],
    }
    has_identity = "identity" in OperatorConfig.model_fields
    async with FaultUpstream(ok_json()) as provider:
        config = (CONFIG + (IDENTITY if has_identity else "")).format(url=provider.url)
        async with Gateway(tmp_path, config=config, environ=environ) as gateway:
            witness = Witness(gateway)
            await use_the_data_plane(witness, provider, PLANTED["provider key"])
            await bring_own_key(witness, provider)
            await use_the_data_plane(witness, provider, PLANTED["own key of a tenant"])
            await use_the_control_plane(witness)
            await gateway.kill_and_wait_for_restart("proxy-0")
            await gateway.kill_and_wait_for_restart("control")
            await gateway.wait_until_ready()
            await witness.call("/v1/chat/completions", HELLO)
            for verb in (("usage", "--json"), ("conservation", "--json")):
                _, out, err = await gateway.verb(*verb)
                witness.heard.append((" ".join(verb), (out + err).encode()))
            await look_through(gateway, witness)
        await look_through(gateway, witness)


async def bring_own_key(witness: Witness, provider: FaultUpstream) -> None:
    """Keep, replace, and wait until it is used; another one for an upstream of the API."""
    host = f"127.0.0.1:{provider.port}"
    body = {"provider": "openai", "host": host}
    place = "/admin/v1/tenants/acme/credentials"
    old, new = PLANTED["own key that was replaced"], PLANTED["own key of a tenant"]
    assert await witness.admin(place, {**body, "name": "own", "secret": old}) == 201
    assert await witness.admin(f"{place}/own/rotate", {"secret": new}) == 200
    made = {**body, "name": "api", "secret": PLANTED["key of the operator over the API"]}
    assert await witness.admin("/admin/v1/credentials", made) == 201
    upstream = {"name": "second", "kind": "openai", "base_url": provider.url, "allow_private": True}
    assert await witness.admin("/admin/v1/upstreams", upstream) == 201
    model = {"name": "house-2", "upstreams": [{"upstream": "second"}]}
    assert await witness.admin("/admin/v1/models", model) == 201

    async def is_used(model: str, key: str) -> bool:
        provider.calls.clear()
        await witness.call("/v1/chat/completions", {**HELLO, "model": model, "temperature": 1})
        return any(each.headers.get("authorization") == f"Bearer {key}" for each in provider.calls)

    await wait_until(lambda: is_used("house", new))


async def look_through(gateway: Gateway, witness: Witness) -> None:
    """Everything the gateway has said and written until now."""
    found = [(where, leaks_in(data)) for where, data in witness.heard]
    found.append(("the log", leaks_in(gateway.output_path.read_bytes())))
    files = [path for path in gateway.home.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        data = await asyncio.to_thread(path.read_bytes)
        found.append((str(path.relative_to(gateway.home)), leaks_in(data)))
    leaks = [each for each in found if each[1]]
    assert leaks == []


def test_the_search_finds_what_it_is_for() -> None:
    secret = PLANTED["provider key"]
    for offset in range(5):
        data = b"." * offset + secret.encode() + b"more"
        for hidden in (data, data.hex().encode(), base64.b64encode(data)):
            assert leaks_in(b"\0\1" + hidden + b"\xff") == ["provider key"]
    assert leaks_in(secret[:-3].encode()) == []
