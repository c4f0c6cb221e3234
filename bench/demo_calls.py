"""`make demo-calls`: a throw-away gateway on the mock provider, a few calls, and what they cost.

Run by hand. Everything it makes lies in a temporary directory and goes with it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
MAIN = [sys.executable, str(ROOT / "main.py")]
START_S = 120
SHIPPED_S = 10
SHOWN_HEADERS = ("x-apex-cache", "x-apex-model", "x-apex-cost-usd", "x-apex-gross-baseline-usd")


def demo_environment(home: Path) -> dict[str, str]:
    """This process's environment without settings and provider keys: the mock answers."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("APEX_") and name != "OPENAI_API_KEY"
    }
    return {**kept, "APEX_HOME": str(home)}


async def wait_for_port(path: Path, gateway: subprocess.Popen[bytes]) -> str:
    """The proxy's URL, once the gateway has announced it. RuntimeError when it never does."""
    async with asyncio.timeout(START_S):
        while not path.exists():
            if gateway.poll() is not None:
                raise RuntimeError("the gateway ended before it was up; its messages are above")
            await asyncio.sleep(0.1)
    return str(json.loads(path.read_text())["url"])


def chat(text: str, **options: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **options}


def show(title: str, headers: Mapping[str, str]) -> None:
    facts = [f"{name.removeprefix('x-apex-')}={headers[name]}" for name in SHOWN_HEADERS
             if name in headers]  # fmt: skip
    print(f"  {title:<28} {'  '.join(facts)}")


async def send_calls(session: aiohttp.ClientSession) -> None:
    calls = (
        ("chat", "/v1/chat/completions", chat("Hello!")),
        ("deterministic chat", "/v1/chat/completions", chat("Name a prime.", temperature=0)),
        ("the same again", "/v1/chat/completions", chat("Name a prime.", temperature=0)),
        ("the same as a stream", "/v1/chat/completions",
         chat("Name a prime.", temperature=0, stream=True)),
        ("another stream", "/v1/chat/completions", chat("Count to five.", stream=True)),
        ("embeddings", "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]}),
    )  # fmt: skip
    for title, path, body in calls:
        async with session.post(path, json=body) as answer:
            text = await answer.text()
            if not answer.ok:
                raise RuntimeError(f"{title}: {answer.status} {text}")
            show(title, answer.headers)


def print_report(environment: Mapping[str, str], *words: str) -> bool:
    print(f"\n$ python main.py {' '.join(words)}", flush=True)
    return subprocess.run([*MAIN, *words], env=environment, check=False).returncode == 0


async def wait_for_balance(environment: Mapping[str, str]) -> None:
    """Until every event of the log is in the store, or the time for it is over."""
    for _ in range(SHIPPED_S * 2):
        check = await asyncio.create_subprocess_exec(
            *MAIN, "conservation", env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        if await check.wait() == 0:
            return
        await asyncio.sleep(0.5)


async def run_demo(project: Path) -> bool:
    home = project / ".apex"
    environment = demo_environment(home)
    gateway = subprocess.Popen([*MAIN, "all"], env=environment)  # noqa: ASYNC220 returns at once
    try:
        url = await wait_for_port(project / ".service_discovery" / "proxy.json", gateway)
        key = (home / "demo.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        print("Six calls, and what the gateway says about each:\n")
        async with aiohttp.ClientSession(url, headers=headers) as session:
            await send_calls(session)
        await wait_for_balance(environment)
        has_usage = print_report(environment, "usage")
        return print_report(environment, "conservation") and has_usage
    finally:
        print(flush=True)
        if gateway.poll() is None:
            gateway.send_signal(signal.SIGINT)
        gateway.wait()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="apex-demo-") as project:
        try:
            return 0 if asyncio.run(run_demo(Path(project))) else 1
        except (RuntimeError, TimeoutError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
