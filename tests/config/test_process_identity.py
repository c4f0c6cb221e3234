"""Dead, zombie and reused pids are told apart from the living."""

import dataclasses
import os
import subprocess
import sys

from config.process_identity import identify_own


def test_own_process_lives() -> None:
    own = identify_own()
    assert own.pid == os.getpid()
    assert own.is_alive()


def test_another_start_or_boot_of_the_same_pid_is_dead() -> None:
    own = identify_own()
    assert not dataclasses.replace(own, started_ticks=own.started_ticks + 1).is_alive()
    assert not dataclasses.replace(own, boot_id="another").is_alive()


def test_without_a_start_time_the_pid_decides() -> None:
    own = dataclasses.replace(identify_own(), started_ticks=0)
    assert own.is_alive()
    assert not dataclasses.replace(own, pid=2**22 + 1).is_alive()


def test_a_killed_child_is_dead_even_before_it_is_reaped() -> None:
    code = "from config.process_identity import identify_own as i\nw = i()\n"
    code += "print(w.pid, w.boot_id, w.started_ticks, flush=True)\nimport sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        pid, boot_id, ticks = child.stdout.readline().split()
        identity = dataclasses.replace(
            identify_own(), pid=int(pid), boot_id=boot_id, started_ticks=int(ticks)
        )
        assert identity.is_alive()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.is_alive()
        child.wait(10)
        assert not identity.is_alive()
