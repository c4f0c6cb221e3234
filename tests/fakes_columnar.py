"""A ClickHouse server's HTTP interface in front of a chDB engine: the outside party of the tests.

Run as `python -m tests.fakes_columnar DIRECTORY [PORT]`; it prints its port. The engine is the real
one, so is the wire; settings of a server, users and clusters are not covered. POST /fault makes the
next inserts work and lose their replies, fail before they do anything, or wait and work late.
"""

import asyncio
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chdb
from aiohttp import web

# Query-string names that are no settings.
_NOT_SETTINGS = frozenset({
    "query", "database", "query_id", "session_id", "user", "password", "wait_end_of_query",
    "client_protocol_version", "compress", "decompress", "role", "default_format",
    "enable_http_compression", "http_headers_progress_interval_ms", "send_progress_in_http_headers",
    "session_check", "session_timeout", "buffer_size", "quota_key",
})  # fmt: skip
# An insert's data follows its statement in the body.
_INSERT = re.compile(
    rb"^\s*insert\s+into\b(.*?)\bformat\s+(\w+)[ \t]*\n", re.DOTALL | re.IGNORECASE
)
_FORMAT = re.compile(r"\bformat\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")


class Front:
    """One engine, one thread; statements come in as a server would get them."""

    def __init__(self, directory: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._engine = self._thread.submit(chdb.connect, directory).result()
        self.replies_to_lose = 0
        self.inserts_to_fail = 0
        self.inserts_to_hold = 0
        self._is_released = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        statement = request.query.get("query", "").encode()
        statement = statement + b"\n" + body if statement else body
        is_insert = _INSERT.match(statement) is not None
        if is_insert and self.inserts_to_fail > 0:
            self.inserts_to_fail -= 1
            return web.Response(status=500, text="Code: 241. DB::Exception: not now")
        if is_insert and self.inserts_to_hold > 0:
            self.inserts_to_hold -= 1
            await self._is_released.wait()
        loop = asyncio.get_running_loop()
        try:
            output = await loop.run_in_executor(
                self._thread, self._run, dict(request.query), statement
            )
        except RuntimeError as error:
            return _refusal(str(error))
        if is_insert and self.replies_to_lose > 0:
            self.replies_to_lose -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=output, headers={"X-ClickHouse-Timezone": "UTC"})

    async def set_fault(self, request: web.Request) -> web.Response:
        self.replies_to_lose = int(request.query.get("lose_replies", "0"))
        self.inserts_to_fail = int(request.query.get("fail_inserts", "0"))
        self.inserts_to_hold = int(request.query.get("hold_inserts", "0"))
        self._is_released.set()
        self._is_released = asyncio.Event()
        return web.Response()

    def _run(self, query: dict[str, str], statement: bytes) -> bytes:
        self._engine.query(f"USE `{query.get('database') or 'default'}`")
        settings = {
            name: value
            for name, value in query.items()
            if name not in _NOT_SETTINGS and not name.startswith("param_")
        }
        for name, value in settings.items():
            self._engine.query(f"SET {name} = {_quoted(value)}")
        try:
            return self._execute(query, statement)
        finally:
            for name in settings:
                self._engine.query(f"SET {name} = DEFAULT")

    def _execute(self, query: dict[str, str], statement: bytes) -> bytes:
        insert = _INSERT.match(statement)
        if insert is not None:
            with tempfile.NamedTemporaryFile() as file:
                Path(file.name).write_bytes(statement[insert.end() :])
                target = f"INSERT INTO {insert[1].decode()} FROM INFILE {_quoted(file.name)}"
                self._engine.query(f"{target} FORMAT {insert[2].decode()}")
            return b""
        bound = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
        text = statement.decode()
        named = _FORMAT.search(text)
        output_format = named[1] if named else query.get("default_format", "TabSeparated")
        text = text[: named.start()] if named else text
        result: Any = self._engine.query(text, output_format, params=bound)
        return bytes(result.bytes()) if result is not None else b""


def _refusal(text: str) -> web.Response:
    found = _CODE.search(text)
    code = found[1] if found else "1"
    return web.Response(status=500, text=text, headers={"X-ClickHouse-Exception-Code": code})


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


async def serve(directory: str, port: int) -> None:
    front = Front(directory)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/fault", front.set_fault)
    app.router.add_route("*", "/", front.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=port > 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
