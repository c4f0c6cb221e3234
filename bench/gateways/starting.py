"""Starts contestants and times each to its first correct answer. Called by rounds.py.

Whoever does not start, or answers something else than the mock does, is left out with the reason.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.gateways.apex_home import start_control, write_home
from bench.gateways.contestants import Contestant, Place
from bench.gateways.processes import BenchError, Started, clean_environment, start_on
from bench.gateways.scenarios import body_of, find_scenario

START_S = 90
POLL_S = 0.01
ANSWER_S = 20
ANSWER_BEGINS = "MOCK-OK"
ANSWER_TOKENS = 320


class Running:
    """A contestant that answers; for ours, with the control process beside it."""

    def __init__(
        self, contestant: Contestant, started: Started | None, control: Started | None = None
    ) -> None:
        self.contestant = contestant
        self.started = started
        self.control = control

    def tree(self) -> list[int]:
        return self.started.tree() if self.started else []

    @property
    def is_alive(self) -> bool:
        return self.started is None or self.started.is_alive

    def last_words(self) -> str:
        return self.started.last_words() if self.started else ""

    def stop(self) -> None:
        """The gateway first: the control process ships what it wrote last."""
        for each in (self.started, self.control):
            if each is not None:
                each.stop()


def start(contestant: Contestant, place: Place, starts: int) -> tuple[Running, list[float]]:
    """The running contestant and the seconds that each of `starts` starts took. BenchError."""
    if not contestant.command:
        wait_for_answer(contestant, lambda: True)
        return Running(contestant, None), []
    control = prepare(contestant, place)
    times: list[float] = []
    try:
        for number in range(starts):
            started, found, seconds = start_once(contestant, place)
            times.append(seconds)
            if number < starts - 1:
                started.stop()
    except BaseException:
        if control is not None:
            control.stop()
        raise
    return Running(found, started, control), times


def prepare(contestant: Contestant, place: Place) -> Started | None:
    """Ours alone: a migrated home, its snapshot built, and the shipper running."""
    if contestant.home is None:
        return None
    home, environment = contestant.home, dict(contestant.environment)
    write_home(home, place.upstream)
    python, main_path = contestant.command[:2]
    done = subprocess.run(
        [python, main_path, "migrate"], env=clean_environment(environment), cwd=home,
        capture_output=True, text=True, check=False, timeout=START_S,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"the home was not made: {done.stderr[-500:]}")
    control = start_control(home, environment, python)
    wait_for(home / "home" / "snapshot.sealed", control)
    return control


def wait_for(path: Path, started: Started) -> None:
    """Until the process has written the file. BenchError when it ends or takes too long."""
    deadline = time.monotonic() + START_S
    while not path.exists():
        if not started.is_alive or time.monotonic() > deadline:
            started.stop()
            raise BenchError(f"{path.name} was not written: {started.last_words()}")
        time.sleep(POLL_S)


def start_once(contestant: Contestant, place: Place) -> tuple[Started, Contestant, float]:
    """The process, the contestant with its port, and the seconds to the first correct answer."""
    if contestant.port_file is not None:
        contestant.port_file.unlink(missing_ok=True)
    began = time.monotonic()
    log = (contestant.home or place.work) / f"{contestant.name}.log"
    environment = clean_environment(contestant.environment)
    started = start_on(contestant.cores, contestant.command, environment, log)
    try:
        found = wait_for_answer(contestant, lambda: started.is_alive)
    except BenchError as error:
        started.stop()
        raise BenchError(f"{error}; {started.last_words()}") from error
    except BaseException:
        started.stop()
        raise
    return started, found, time.monotonic() - began


def wait_for_answer(contestant: Contestant, is_alive: Callable[[], bool]) -> Contestant:
    """The contestant with its port once it answers correctly; BenchError when it never does."""
    deadline = time.monotonic() + START_S
    trouble = "it ended"
    while is_alive() and time.monotonic() < deadline:
        try:
            found = with_port(contestant)
            check_answer(found)
            return found
        except (OSError, ValueError, LookupError, BenchError) as error:
            trouble = repr(error)
        time.sleep(POLL_S)
    raise BenchError(f"did not start: {trouble}")


def with_port(contestant: Contestant) -> Contestant:
    if contestant.port_file is None:
        return contestant
    return replace(contestant, port=int(contestant.port_file.read_text()))


def check_answer(contestant: Contestant) -> None:
    """One request, answered as the mock answers it, usage included. BenchError, OSError."""
    body = body_of(find_scenario("miss-1k"), contestant.model)
    document = json.loads(send(contestant, body, contestant.headers)[0])
    content = document["choices"][0]["message"]["content"]
    tokens = document["usage"]["total_tokens"]
    if not content.startswith(ANSWER_BEGINS) or tokens != ANSWER_TOKENS:
        raise BenchError(f"a wrong answer: {document}"[:300])


def send(contestant: Contestant, body: bytes, headers: tuple[str, ...]) -> tuple[bytes, str]:
    """The answer's body and what it says of the cache. OSError."""
    fields = dict(each.replace("@@K@@", "00000").split(": ", 1) for each in headers)
    url = f"http://127.0.0.1:{contestant.port}{contestant.path}"
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json", **fields}
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 loopback
        return answer.read(), answer.headers.get("x-apex-cache", "")
