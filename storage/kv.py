"""The one door to Redis, Valkey and their clusters: commands in batches, each with a deadline.

Opened by proxy/role.py and the control process when APEX_KV_URL names a server; imported only
then. Callers get an answer or KvUnavailableError, within 20 ms and without waiting for a
connection: what is away is asked by a probe in the background alone.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
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
MOST_BATCHED = 256
MOST_CONNECTIONS = 8
PROBE_TICK_S = 0.05
CLUSTER_MARK = "+cluster"
DEFAULT_PORT = 6379

logger = logging.getLogger(__name__)

Part = str | bytes | int
Command = tuple[Part, ...]


class KvUnavailableError(Exception):
    """The server gave no answer in time, or refused; what was asked may or may not have run."""


class Script:
    """A Lua script, sent by its hash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: Sequence[str], arguments: Sequence[Part]) -> Command:
        """The command that runs it; all keys must have one hash tag."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


@dataclass(slots=True)
class _Asked:
    command: Command
    answer: "asyncio.Future[Any]"
    script: Script | None = None


@dataclass(slots=True)
class KvChannel:
    """A queue of commands with one batch on its way at a time; batches never wait for others'.

    One a purpose: a large value on its way through one of them delays no limit.
    """

    kv: "Kv"
    _waiting: list[_Asked] = field(default_factory=list)
    _has_work: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, *command: Part) -> Any:
        """The server's answer; raises KvUnavailableError."""
        return await self._put(command, None)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        """The script's answer; raises KvUnavailableError."""
        return await self._put(script.command(keys, arguments), script)

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
            answers = await self.kv.within_deadline(self._exchange(batch))
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
            _resolve(asked.answer, answer)

    async def _exchange(self, batch: list[_Asked]) -> list[Any]:
        """One write and one answer each; scripts the server has forgotten are sent whole."""
        answers = await self.kv.exchange([asked.command for asked in batch])
        lost = [
            place
            for place, answer in enumerate(answers)
            if isinstance(answer, NoScriptError) and batch[place].script is not None
        ]
        if lost:
            whole = [_with_text(batch[place]) for place in lost]
            for place, answer in zip(lost, await self.kv.exchange(whole), strict=True):
                answers[place] = answer
        return answers

    def _fail(self, asked: list[_Asked], why: str) -> None:
        for each in asked:
            if not each.answer.done():
                each.answer.set_exception(KvUnavailableError(why))
                each.answer.exception()  # who left meanwhile does not read it


def _with_text(asked: _Asked) -> Command:
    text = asked.script.text if asked.script else ""
    return ("EVAL", text, *asked.command[2:])


def _resolve(waiting: "asyncio.Future[Any]", answer: Any) -> None:
    if waiting.done():
        return
    if isinstance(answer, Exception):
        waiting.set_exception(KvUnavailableError(type(answer).__name__))
        waiting.exception()
    else:
        waiting.set_result(answer)


class Kv:
    """One server or cluster, as one process sees it."""

    def __init__(self, client: Any, tasks: TaskOwner, *, is_cluster: bool) -> None:
        self._client = client
        self._tasks = tasks
        self._is_cluster = is_cluster
        self.circuit = Circuit()
        self.on_return: list[Callable[[], None]] = []

    def open_channel(self, name: str) -> KvChannel:
        """A queue of its own; one connection at a time."""
        channel = KvChannel(self)
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

    async def within_deadline(self, work: Any) -> Any:
        """Wait for work until the deadline; raises TimeoutError.

        A loop that was held up itself has not looked yet whether the answer came: it looks first.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as scope:
            timer = _Deadline(loop, scope)
            try:
                return await work
            finally:
                timer.cancel()

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
                if self._is_cluster:
                    nodes = RedisCluster.PRIMARIES
                    await self._client.execute_command("PING", target_nodes=nodes)
                else:
                    await self._client.execute_command("PING")
        except (TimeoutError, OSError, RedisError) as error:
            logger.debug("the KV server is away: %s", _kind(error))
            self.circuit.fail_probe(asyncio.get_running_loop().time())
            await self._forget_connections()
            return
        self.circuit.succeed()
        logger.info("the KV server answers")
        for call in self.on_return:
            call()

    async def _forget_connections(self) -> None:
        """A cluster is discovered anew at the next probe: its nodes may have moved."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.aclose()
        except (TimeoutError, OSError, RedisError):
            return


class _Deadline:
    """Ends a scope 20 ms after now, or later where it is the loop that is late."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scope: asyncio.Timeout) -> None:
        self._loop = loop
        self._scope = scope
        self._graces = MOST_GRACES
        self._arm()

    def _arm(self) -> None:
        when = self._loop.time() + DEADLINE_S
        self._timer = self._loop.call_at(when, self._expire, when)

    def _expire(self, when: float) -> None:
        if self._graces and self._loop.time() - when > LATE_S:
            self._graces -= 1
            self._arm()
        else:
            self._scope.reschedule(self._loop.time())

    def cancel(self) -> None:
        self._timer.cancel()


def open_kv(url: str, tasks: TaskOwner) -> Kv:
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
        return Kv(_open_cluster(url, options), tasks, is_cluster=True)
    try:
        return Kv(Redis.from_url(url, **options), tasks, is_cluster=False)
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
