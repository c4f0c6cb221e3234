"""`make demo-control`: a throw-away gateway steered over the admin API, from tenant to audit log.

Run by hand. An operator makes a tenant and invites its owner; the owner signs in, brings a provider
key, makes an API key with a budget, and calls until the budget refuses. The mock provider answers.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bench.demo_calls import MAIN, chat, demo_environment, wait_for_balance, wait_for_port

TENANT, OWNER = "acme", "ada@example.com"
BUDGET_USD = "0.001"
MOST_CALLS = 200
LIVE_S = 10.0
POLL_S = 0.1


class Person:
    """Who calls the admin API: with the operator's token, or with a session and its CSRF token."""

    def __init__(self, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> None:
        self._session = session
        self._headers = dict(headers)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's document. RuntimeError for a refusal, in its own words."""
        options = {} if body is None else {"json": body}
        async with self._session.request(method, path, headers=self._headers, **options) as reply:
            document = await reply.json(content_type=None)
            if not reply.ok:
                raise RuntimeError(f"{method} {path}: {reply.status} {document}")
            return document

    async def sign_in(self, invitation: str) -> str:
        """Join by an invitation, as in development; the roles that came of it."""
        body = {"email": OWNER, "invitation": invitation}
        await self.ask("POST", "/auth/dev/login", body)
        session = await self.ask("GET", "/auth/session")
        self._headers["X-CSRF-Token"] = session["csrf_token"]
        return ", ".join(f"{role} of {tenant}" for tenant, role in session["roles"].items())


def say(step: str, what: str) -> None:
    print(f"  {step:<12} {what}")


async def set_up(operator: Person, owner: Person) -> str:
    """Tenant, owner, provider key, API key with a budget; the API key's secret."""
    base = f"/admin/v1/tenants/{TENANT}"
    made = await operator.ask("POST", "/admin/v1/tenants", {"name": TENANT, "tier": "early"})
    say("tenant", f"{made['name']}, tier {made['tier']}: {', '.join(made['entitlements'])}")
    invited = await operator.ask("POST", f"{base}/invitations", {"email": OWNER, "role": "owner"})
    say("member", f"{OWNER} signed in: {await owner.sign_in(invited['token'])}")
    credential = {"name": "own", "provider": "mock", "secret": "sk-of-acme-alone"}
    kept = await owner.ask("POST", f"{base}/credentials", credential)
    say("credential", f"{kept['name']} for {kept['provider']}, ends in {kept['last4']}")
    budget = {"period": "day", "amount_usd": BUDGET_USD}
    body = {"name": "app", "limits": {"budgets": [budget], "requests_per_minute": 1000}}
    key = await owner.ask("POST", f"{base}/keys", body)
    say("API key", f"{key['key_id']}, {BUDGET_USD} USD a day")
    return str(key["secret"])


async def call_until_refused(url: str, secret: str) -> None:
    """Calls while the budget lasts, and the refusal. RuntimeError when it never comes."""
    headers = {"Authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        await wait_until_known(session)
        for number in range(MOST_CALLS):
            body = chat(f"Question {number}", max_tokens=100)
            async with session.post("/v1/chat/completions", json=body) as answer:
                document = await answer.json()
                if answer.status == 429:
                    say("calls", f"{number} answered, then 429 {document['error']['code']}:")
                    say("", document["error"]["message"])
                    return
                answer.raise_for_status()
    raise RuntimeError(f"{MOST_CALLS} calls passed a budget of {BUDGET_USD} USD")


async def wait_until_known(session: aiohttp.ClientSession) -> None:
    """A new key is live within two seconds. TimeoutError."""
    async with asyncio.timeout(LIVE_S):
        while True:
            async with session.get("/v1/models") as answer:
                if answer.ok:
                    return
            await asyncio.sleep(POLL_S)


def run_verb(environment: Mapping[str, str], *words: str) -> bool:
    print(f"\n$ python main.py {' '.join(words)}", flush=True)
    return subprocess.run([*MAIN, *words], env=environment, check=False).returncode == 0


async def run_demo(project: Path) -> bool:
    home = project / ".apex"
    environment = demo_environment(home)
    gateway = subprocess.Popen([*MAIN, "all"], env=environment)  # noqa: ASYNC220 returns at once
    discovery = project / ".service_discovery"
    try:
        url = await wait_for_port(discovery / "proxy.json", gateway)
        admin_url = await wait_for_port(discovery / "admin.json", gateway)
        token = (home / "admin.token").read_text().strip()
        cookies = aiohttp.CookieJar(unsafe=True)  # of a host that is an address
        async with (
            aiohttp.ClientSession(admin_url) as operating,
            aiohttp.ClientSession(admin_url, cookie_jar=cookies) as owning,
        ):
            operator = Person(operating, {"Authorization": f"Bearer {token}"})
            print("Over the admin API:\n")
            secret = await set_up(operator, Person(owning, {}))
            await call_until_refused(url, secret)
        await wait_for_balance(environment)
        verbs = (
            ("usage", "--group-by", "upstream", "--tenant", TENANT),
            ("audit", "list", "--tenant", TENANT),
            ("audit", "verify", "--tenant", TENANT),
        )
        went_well = [run_verb(environment, *words) for words in verbs]
        return all(went_well)
    finally:
        print(flush=True)
        if gateway.poll() is None:
            gateway.send_signal(signal.SIGINT)
        gateway.wait()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="apex-demo-") as project:
        try:
            return 0 if asyncio.run(run_demo(Path(project))) else 1
        except (RuntimeError, TimeoutError, aiohttp.ClientError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
