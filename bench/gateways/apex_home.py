"""A home of the gateway as it is measured: 10,000 API keys, 50 rules, 5% held out, limits on.

The last rule matches, so that every request passes all of them; it caches deterministic requests.
"""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.gateways.processes import LOAD_CORE, Started, clean_environment, start_on

ROOT = Path(__file__).resolve().parent.parent.parent
KEYS, TENANTS, RULES = 10_000, 10, 50
HOLDOUT_SHARE = 0.05
# Of each tenant: counted and claimed with every call, and out of reach.
LIMITS = {
    "requests_per_minute": 100_000_000,
    "tokens_per_minute": 1_000_000_000,
    "concurrency": 100_000,
    "budgets": [{"amount_usd": "1000000", "period": "month"}],
}
MODELS = ("gpt-4o-mini", "gpt-4o")


def secret_of(number: str) -> str:
    return f"bench-key-{number}-of-more-than-thirty-two-characters"


def header_of(number: int) -> str:
    return f"Authorization: Bearer {secret_of(f'{number:05d}')}"


def placeholder_header() -> str:
    """lg.c puts five digits where this says @@K@@: every key calls in its turn."""
    return f"Authorization: Bearer {secret_of('@@K@@')}"


def environment_of(home: Path, port: int, workers: int) -> dict[str, str]:
    return {
        "APEX_HOME": str(home / "home"),
        "APEX_CONFIG": str(home / "apex.yaml"),
        "APEX_PROXY_PORT": str(port),
        "APEX_WORKERS": str(workers),
    }


def write_home(home: Path, upstream: str) -> None:
    """Make the directory and its apex.yaml (JSON is YAML)."""
    home.mkdir(parents=True, exist_ok=True)
    upstreams = {
        "bench": {
            "kind": "openai", "base_url": f"{upstream}/v1", "api_key": "sk-upstream",
            "allow_private": True,
        }
    }  # fmt: skip
    price = {"input_per_million_usd": 0.15, "output_per_million_usd": 0.6}
    document = {
        "upstreams": upstreams,
        "models": {name: {"upstreams": ["bench"], "price": price} for name in MODELS},
        "tenants": {f"tenant-{number}": tenant(number) for number in range(TENANTS)},
    }
    (home / "apex.yaml").write_text(json.dumps(document, indent=0))


def tenant(number: int) -> dict[str, Any]:
    share = KEYS // TENANTS
    keys = [
        {"name": f"key-{key}", "secret": secret_of(f"{key:05d}")}
        for key in range(number * share, (number + 1) * share)
    ]
    policy = {"holdout_share": HOLDOUT_SHARE, "rules": rules()}
    return {"keys": keys, "policy": policy, "limits": LIMITS}


def rules() -> list[dict[str, Any]]:
    """As a team would write them: by model, key, tag, size and form. All but the last pass by."""
    kinds: Sequence[Any] = (
        lambda n: {"match": {"models": [f"claude-{n}*"]}, "route": [{"model": "gpt-4o"}]},
        lambda n: {"match": {"keys": [f"nightly-{n}"]}, "clamp_output_tokens": 500 + n},
        lambda n: {"match": {"tags": {"team": f"team-{n}"}}, "fallback": ["gpt-4o"]},
        lambda n: {"match": {"min_prompt_bytes": 1_000_000 + n}, "no_optimize": True},
        lambda n: {"match": {"models": [f"gpt-{n}*"], "tools": True}, "fallback": ["gpt-4o"]},
    )
    passing = [
        {"name": f"rule-{number}", **kinds[number % len(kinds)](number)}
        for number in range(RULES - 1)
    ]
    cache = {"ttl_s": 3600, "scope": "user", "when": "deterministic"}
    return [*passing, {"name": "reuse-deterministic-answers", "cache": cache}]


def start_control(home: Path, environment: dict[str, str], python: str) -> Started:
    """The control process of this home, with the embedded store: it ships what the proxy records.

    `main.py all` starts it the same way. It runs beside the load, where it gives way to it.
    """
    with socket.socket() as admin:
        admin.bind(("127.0.0.1", 0))
        admin.listen()
        fd = admin.fileno()
        command = [python, str(ROOT / "main.py"), "control", f"--fd={fd}", "--mock-url="]
        return start_on(
            LOAD_CORE, command, clean_environment(environment), home / "control.log",
            is_urgent=False, pass_fds=(fd,),
        )  # fmt: skip
