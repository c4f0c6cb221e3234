"""Serves TensorZero's gateway, as its Python package embeds it, until it is stopped.

Run by the benchmark on TensorZero's own environment: CONFIG PORT_FILE. It takes any free port.
"""

import asyncio
import sys
from inspect import isawaitable
from pathlib import Path
from urllib.parse import urlsplit

from tensorzero import _start_http_gateway


async def main(config: str, port_file: str) -> None:
    """Start it, say where it listens, and wait for the end."""
    gateway = _start_http_gateway(
        config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None,
        async_setup=True,
    )  # fmt: skip
    if isawaitable(gateway):
        gateway = await gateway
    Path(port_file).write_text(str(urlsplit(gateway.base_url).port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
