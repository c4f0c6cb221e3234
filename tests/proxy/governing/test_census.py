"""How many processes share the limits, and that a purge of one reaches the others."""

from config.tasks import TaskOwner
from proxy.governing.census import PURGES_KEY, Census
from storage.kv import Kv
from tests.gateway import wait_until


async def test_processes_are_counted_and_leave(kv: Kv) -> None:
    tasks = TaskOwner()
    one, two = Census(kv, tasks, 1), Census(kv, tasks, 1)
    purged: list[bool] = []
    one.on_purge = lambda: purged.append(True)
    now = 1.0

    def both_know(count: int) -> bool:
        nonlocal now
        now += 10.0
        one.sweep(now)
        two.sweep(now)
        return one.share() == two.share() == count

    await wait_until(lambda: both_know(2))
    assert not purged
    await kv.open_channel("test").ask("INCR", PURGES_KEY)
    await wait_until(lambda: both_know(2) and bool(purged))
    await two.leave()

    def is_alone() -> bool:
        nonlocal now
        now += 10.0
        one.sweep(now)
        return one.share() == 1

    await wait_until(is_alone)
    await tasks.stop()


async def test_there_are_never_fewer_than_on_this_host(kv: Kv) -> None:
    tasks = TaskOwner()
    census = Census(kv, tasks, 4)
    census.sweep(1.0)
    await wait_until(lambda: census.share() == 4)
    await tasks.stop()
