"""The gate that holds the proxies back."""

import os
import threading

from roles.gate import Gate, wait_at_gate


def test_the_waiting_pass_when_it_opens_and_later_ones_at_once() -> None:
    gate = Gate()
    waiting = [os.dup(gate.read_fd), os.dup(gate.read_fd)]
    threads = [threading.Thread(target=wait_at_gate, args=(fd,)) for fd in waiting]
    for thread in threads:
        thread.start()
    threads[0].join(0.05)
    assert all(thread.is_alive() for thread in threads)
    gate.open()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    gate.open()
    wait_at_gate(os.dup(gate.read_fd))
    wait_at_gate(None)
    gate.close()
