"""The one door to Redis, Valkey and their clusters: commands in batches, each with a deadline.

Opened by proxy/role.py and the control process when APEX_KV_URL names a server; imported only
then. Callers get an answer or KvUnavailableError, within 20 ms and without waiting for a
connection: what is away is asked by a probe in the background alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from config.errors import ConfigError
from config.tasks import TaskOwner
from storage.circuit import Circuit

DEADLINE_S = 0.020
CONNECT_S = 1.0
LATE_S = 0.002
MOST_GRACES = 3
MOST_WAITING = 4096
MOST_BATCHED = 32  # what a busy machine answers well within the deadline
MOST_CONNECTIONS = 8
PROBE_TICK_S = 0.05
CLUSTER_MARK = "+cluster"
DEFAULT_PORT = 6379

logger = logging.getLogger(__name__)

Part = str | bytes | int
Command = tuple[Part, ...]


class KvUnavailableError(Exception):
    """The server gave no answer in time, or refused; what was asked may or may not have run."""


# A call that waited in a paused server's buffers comes when its caller has long gone on without:
# it must not count. `now` is the server's clock in microseconds.
PROLOGUE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local latest = tonumber(table.remove(ARGV))
if latest > 0 and now > latest then return {string.format('%.0f', now), 'late'} end
local answer = (function()
%s
end)()
table.insert(answer, 1, string.format('%.0f', now))
return answer
"""
RUNS_WITHIN = 0.75  # of the deadline


class Script:
    """A Lua script, sent by its hash; it returns a list and may use `now`."""

    def __init__(self, text: str) -> None:
        self.text = PROLOGUE.replace("%s", text, 1)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Asked:
    """A command on its way; of a script without its name, and without the time it must run by."""

    command: Command
    answer: "asyncio.Future[Any]"
    script: Script | None = None


@dataclass(slots=True)
class KvChannel:
    """A queue of commands with one batch on its way at a time; batches never wait for others'.

    One a purpose: a large value on its way through one of them delays no limit.
    """

    kv: "Kv"
    deadline_s: float
    _waiting: list[_Asked] = field(default_factory=list)
    _has_work: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, *command: Part) -> Any:
        """The server's answer; raises KvUnavailableError."""
        return await self._put(command, None)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        """The script's list; raises KvUnavailableError. All keys must have one hash tag."""
        return await self.put(script, keys, arguments)

    def put(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Part]
    ) -> "asyncio.Future[Any]":
        """The same, in line behind what was asked before even when it is awaited later."""
        return self._put((len(keys), *keys, *arguments), script)

    def _put(self, command: Command, script: Script | None) -> "asyncio.Future[Any]":
        answer = asyncio.get_running_loop().create_future()
        if self.kv.circuit.is_open or len(self._waiting) >= MOST_WAITING:
            answer.set_exception(KvUnavailableError("the server is away"))
            return answer
        self._waiting.append(_Asked(command, answer, script))
        self._has_work.set()
        return answer

    async def work(self) -> None:
        """Send what waits until cancelled."""
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while self._waiting:
                    batch, self._waiting = (
                        self._waiting[:MOST_BATCHED],
                        self._waiting[MOST_BATCHED:],
                    )
                    await self._send(batch)
        finally:
            self._fail(self._waiting, "the connection is closed")

    async def _send(self, batch: list[_Asked]) -> None:
        try:
            answers = await within_deadline(self._exchange(batch), self.deadline_s)
        except (TimeoutError, OSError, RedisError) as error:
            self.kv.note_failure(error)
            # Who waited behind them has waited for the same server, for as long.
            self._fail(batch + self._waiting, "no answer in time")
            self._waiting = []
            return
        except BaseException:
            self._fail(batch, "the connection is closed")
            raise
        self.kv.circuit.succeed()
        for asked, answer in zip(batch, answers, strict=True):
            _resolve(asked, answer, self.kv.server_clock)

    async def _exchange(self, batch: list[_Asked]) -> list[Any]:
        """One write and one answer each; scripts the server has forgotten are sent whole."""
        latest_us = self.kv.server_clock.in_us(int(self.deadline_s * RUNS_WITHIN * 1e6))
        answers = await self.kv.exchange([_words(asked, latest_us) for asked in batch])
        lost = [
            place
            for place, answer in enumerate(answers)
            if isinstance(answer, NoScriptError) and batch[place].script is not None
        ]
        if lost:
            whole = [_words(batch[place], latest_us, is_whole=True) for place in lost]
            for place, answer in zip(lost, await self.kv.exchange(whole), strict=True):
                answers[place] = answer
        return answers

    def _fail(self, asked: list[_Asked], why: str) -> None:
        for each in asked:
            if not each.answer.done():
                each.answer.set_exception(KvUnavailableError(why))
                each.answer.exception()  # who left meanwhile does not read it


def _words(asked: _Asked, latest_us: int, *, is_whole: bool = False) -> Command:
    script = asked.script
    if script is None:
        return asked.command
    named = ("EVAL", script.text) if is_whole else ("EVALSHA", script.sha)
    return (*named, *asked.command, latest_us)


def _resolve(asked: _Asked, answer: Any, server_clock: "ServerClock") -> None:
    waiting = asked.answer
    if asked.script is not None and isinstance(answer, list):
        is_late = len(answer) == 2 and answer[1] == b"late"
        server_clock.learn(int(answer[0]), is_late=is_late)
        answer = KvUnavailableError("too late") if is_late else answer[1:]
    if waiting.done():
        return
    if isinstance(answer, Exception):
        logger.debug("the KV server refused a command: %s", _kind(answer))
        waiting.set_exception(KvUnavailableError(_kind(answer)))
        waiting.exception()
    else:
        waiting.set_result(answer)


class ServerClock:
    """What the server's clock shows, by the answers that were fastest to come."""

    def __init__(self) -> None:
        self._ahead_us: float | None = None

    def learn(self, server_us: int, *, is_late: bool) -> None:
        """An answer of this moment came; what it lags behind is the time it took."""
        ahead_us = server_us - time.monotonic_ns() / 1000
        if self._ahead_us is None or is_late or ahead_us > self._ahead_us:
            self._ahead_us = ahead_us
        else:  # slowly, so that clocks may drift apart
            self._ahead_us += (ahead_us - self._ahead_us) * 0.001

    def in_us(self, delay_us: int) -> int:
        """The server's time after this delay; 0 where nothing is known of it."""
        if self._ahead_us is None:
            return 0
        return int(time.monotonic_ns() / 1000 + self._ahead_us) + delay_us


class Kv:
    """One server or cluster, as one process sees it."""

    def __init__(
        self, client: Any, tasks: TaskOwner, deadline_s: float, *, is_cluster: bool
    ) -> None:
        self._deadline_s = deadline_s
        self._client = client
        self._tasks = tasks
        self._is_cluster = is_cluster
        self.circuit = Circuit()
        self.server_clock = ServerClock()
        self.scripts: list[Script] = []  # to be there before they are run, in order with the rest
        self.on_return: list[Callable[[], None]] = []

    def open_channel(self, name: str, deadline_s: float = 0.0) -> KvChannel:
        """A queue of its own; one connection at a time. 0: the usual deadline."""
        channel = KvChannel(self, deadline_s or self._deadline_s)
        self._tasks.start(channel.work(), f"kv {name}")
        return channel

    async def start(self) -> bool:
        """Try to connect, and go on looking after the connection; whether it is there."""
        await self._probe()
        self._tasks.start(self._look_after(), "kv probe")
        return not self.circuit.is_open

    async def close(self) -> None:
        """Give the connections back; the channels end with their tasks."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.aclose()
        except (TimeoutError, OSError, RedisError):
            logger.debug("the connection to the KV server was gone already")

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The answers in order, refusals as exceptions; raises what redis raises."""
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        answers = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, OSError):
                raise answer
        return cast("list[Any]", answers)

    def note_failure(self, error: Exception) -> None:
        """Count a batch without an answer."""
        was_open = self.circuit.is_open
        self.circuit.fail(asyncio.get_running_loop().time())
        if self.circuit.is_open and not was_open:
            logger.warning("the KV server does not answer (%s): going on without", _kind(error))

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PROBE_TICK_S)
            if self.circuit.is_probe_due(loop.time()):
                await self._probe()

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._everywhere("PING")
                for script in self.scripts:
                    await self._everywhere("SCRIPT LOAD", script.text)
        except (TimeoutError, OSError, RedisError) as error:
            logger.debug("the KV server is away: %s", _kind(error))
            self.circuit.fail_probe(asyncio.get_running_loop().time())
            await self._forget_connections()
            return
        self.circuit.succeed()
        logger.info("the KV server answers")
        for call in self.on_return:
            call()

    async def _everywhere(self, *command: Part) -> None:
        nodes = {"target_nodes": RedisCluster.PRIMARIES} if self._is_cluster else {}
        await self._client.execute_command(*command, **nodes)

    async def _forget_connections(self) -> None:
        """A cluster is discovered anew at the next probe: its nodes may have moved."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.aclose()
        except (TimeoutError, OSError, RedisError):
            return


async def within_deadline(work: Coroutine[Any, Any, list[Any]], deadline_s: float) -> list[Any]:
    """Wait for work; raises TimeoutError.

    A loop that was held up itself has not looked yet whether the answer came: it looks first.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        timer = _Deadline(loop, scope, deadline_s)
        try:
            return await work
        finally:
            timer.cancel()


class _Deadline:
    """Ends a scope some time after now, or later where it is the loop that is late."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, scope: asyncio.Timeout, deadline_s: float
    ) -> None:
        self._deadline_s = deadline_s
        self._loop = loop
        self._scope = scope
        self._graces = MOST_GRACES
        self._arm()

    def _arm(self) -> None:
        when = self._loop.time() + self._deadline_s
        self._timer = self._loop.call_at(when, self._expire, when)

    def _expire(self, when: float) -> None:
        if self._graces and self._loop.time() - when > LATE_S:
            self._graces -= 1
            self._arm()
        else:
            self._scope.reschedule(self._loop.time())

    def cancel(self) -> None:
        self._timer.cancel()


def open_kv(url: str, tasks: TaskOwner, deadline_s: float = DEADLINE_S) -> Kv:
    """The door to the server or cluster of APEX_KV_URL, not yet connected; raises ConfigError."""
    scheme = url.partition("://")[0]
    # Retries are ours to choose: a command sent twice would count twice.
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MOST_CONNECTIONS,
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": CONNECT_S,
    }
    if scheme.endswith(CLUSTER_MARK):
        return Kv(_open_cluster(url, options), tasks, deadline_s, is_cluster=True)
    try:
        return Kv(Redis.from_url(url, **options), tasks, deadline_s, is_cluster=False)
    except ValueError as error:
        raise ConfigError(
            f"APEX_KV_URL cannot be read: {error}", "write it as redis://host:6379/0"
        ) from None


def _open_cluster(url: str, options: dict[str, Any]) -> RedisCluster:
    """`redis+cluster://user:password@h1:p1,h2:p2`: any of the nodes tells of the others."""
    scheme, _, rest = url.partition("://")
    login, _, hosts = rest.partition("/")[0].rpartition("@")
    user, _, password = login.partition(":")
    return RedisCluster(
        startup_nodes=[_node(place) for place in hosts.split(",")],
        username=unquote(user) or None,
        password=unquote(password) or None,
        ssl=scheme.startswith("rediss"),
        **options,
    )


def _node(place: str) -> ClusterNode:
    try:
        parts = urlsplit(f"//{place.strip()}")
        port = parts.port or DEFAULT_PORT
    except ValueError:
        parts = urlsplit("//")
        port = 0
    if not parts.hostname:
        raise ConfigError(
            f"APEX_KV_URL names a node that is no host:port: {place!r}",
            "write it as redis+cluster://host1:6379,host2:6379",
        )
    return ClusterNode(parts.hostname, port)


def _kind(error: Exception) -> str:
    """Only the kind: the text of some names the URL, which may hold a password."""
    return type(error).__name__
