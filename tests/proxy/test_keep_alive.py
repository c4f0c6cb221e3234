"""Comments while a slow model thinks: point 27 of the wire list."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
from aiohttp import web

from config.tasks import TaskOwner
from proxy.keep_alive import COMMENT, KeepAlive
from tests.gateway import wait_until

Handler = Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]


class Server:
    """Serves one handler; `address` is where."""

    def __init__(self) -> None:
        self.tasks = TaskOwner()
        self.address = ("127.0.0.1", 0)
        self._runner: web.AppRunner | None = None

    async def serve(self, handler: Handler) -> None:
        app = web.Application()
        app.router.add_get("/", handler)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = self._runner.addresses[0]

    async def close(self) -> None:
        await self.tasks.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return reader, writer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    yield made
    await made.close()


async def test_a_quick_answer_is_not_preceded_by_anything(server: Server) -> None:
    was_prepared = []

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        keeper = KeepAlive(request, response, 30, server.tasks)
        await keeper.stop()
        await keeper.stop()
        was_prepared.append(response.prepared)
        return web.Response(status=418)

    await server.serve(answer)
    reader, writer = await server.ask()
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 418")
    writer.close()
    assert was_prepared == [False], "the failure could still be told by its status"


async def test_a_slow_answer_is_bridged_by_comments_and_then_left_alone(server: Server) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        keeper = KeepAlive(request, response, 0.05, server.tasks)
        await go_on.wait()
        await keeper.stop()
        assert response.prepared
        await response.write(b"data: x\n\n")
        await asyncio.sleep(0.2)  # a beat that was not stopped would show itself now
        await response.write_eof()
        return response

    await server.serve(answer)
    reader, writer = await server.ask()
    async with asyncio.timeout(10):
        head = await reader.readuntil(COMMENT)
        await reader.readuntil(COMMENT)
        go_on.set()
        rest = await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 200")
    assert COMMENT not in rest.partition(b"data: x")[2]


async def test_a_caller_who_leaves_ends_the_comments_quietly(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    keepers = []

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        keeper = KeepAlive(request, response, 0.02, server.tasks)
        keepers.append(keeper)
        try:
            await asyncio.Event().wait()
        finally:
            await keeper.stop()
        return response

    await server.serve(answer)
    reader, writer = await server.ask()
    async with asyncio.timeout(5):
        await reader.readuntil(COMMENT)
    writer.transport.abort()
    beat = keepers[0]._beat_task  # noqa: SLF001 whether it ended cannot be seen from outside
    assert beat is not None
    await wait_until(beat.done)
    assert "failed" not in caplog.text
