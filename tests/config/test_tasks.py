"""Tasks keep an owner: failures are logged, a stop ends all of them."""

import asyncio

import pytest

from config.tasks import TaskOwner


async def test_result_comes_back() -> None:
    async def answer() -> int:
        return 42

    owner = TaskOwner()
    task = owner.start(answer(), "answer")
    assert await task == 42
    assert task.get_name() == "answer"
    await owner.stop()


async def test_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("no such thing")

    owner = TaskOwner()
    with pytest.raises(LookupError):
        await owner.start(fail(), "shipper")
    await owner.stop()
    assert "task shipper failed" in caplog.text
    assert "no such thing" in caplog.text


async def test_stop_cancels_and_waits() -> None:
    events: list[str] = []
    started = asyncio.Event()

    async def run() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("cleaned")

    owner = TaskOwner()
    owner.start(run(), "run")
    await started.wait()
    await owner.stop()
    assert events == ["cleaned"]


async def test_stop_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    async def resist() -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    owner = TaskOwner()
    task = owner.start(resist(), "resist")
    await started.wait()
    await owner.stop(timeout_s=0.01)
    assert "task resist did not end" in caplog.text
    release.set()
    await task


async def test_start_after_stop_is_refused() -> None:
    async def never() -> None:
        raise AssertionError

    owner = TaskOwner()
    await owner.stop()
    with pytest.raises(RuntimeError, match="late was started after"):
        owner.start(never(), "late")


async def test_a_task_may_stop_its_own_owner() -> None:
    owner = TaskOwner()
    await owner.start(owner.stop(), "stopper")
