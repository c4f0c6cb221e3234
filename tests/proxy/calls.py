"""The calls that the data plane's tests make, and what they ask of the answers."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import openai

from config.clock import Clock
from config.operator import Timeouts
from config.secrets import load_key_ring
from proxy.live import SnapshotHolder
from tests.fault_replies import Reply
from tests.proxy_gateway import ProxyGateway

QUICK = Timeouts(connect_s=1, first_token_s=0.5, idle_s=0.5, total_s=3, stream_headers_s=0.2)
HELLO: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "hello"}],
}
CACHED = HELLO | {"temperature": 0}


async def stream_text(client: openai.AsyncOpenAI, **body: Any) -> str:
    """Stream a completion and return its text."""
    text = ""
    async for chunk in await client.chat.completions.create(stream=True, **body):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
    return text


def treated_user(gateway: ProxyGateway) -> str:
    """Find a user whose session is not in the holdout, so that a cache test means the cache."""
    clock = Clock()
    live = SnapshotHolder(gateway.home, load_key_ring(gateway.settings), clock).live
    epoch = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m")
    names = (f"user-{number}" for number in range(1000))
    return next(name for name in names if live.draw(epoch, "acme", name).holdout > 0.05)


def delayed(reply: Reply, delay_s: float) -> Reply:
    """Return the same reply, later."""
    values = {field.name: getattr(reply, field.name) for field in fields(reply)}
    return Reply(**values | {"delay_s": delay_s})
