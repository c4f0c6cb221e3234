"""What is read from /proc is this machine's truth: descriptors, threads, connections."""

import os
import socket
import threading
from pathlib import Path

from bench.soak.watch import count_fds, look_at_process, look_at_processes, sized


def test_descriptors_threads_and_memory_are_seen() -> None:
    before = look_at_process(os.getpid())
    assert before.rss_bytes >= before.pss_bytes > 1 << 20
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    with socket.socket(), socket.socket():
        after = look_at_process(os.getpid())
    go_on.set()
    thread.join()
    assert (after.fds - before.fds, after.threads - before.threads) == (2, 1)


def test_connections_to_the_upstream_are_counted_apart() -> None:
    own = os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        before = count_fds(own, port)
        with socket.create_connection(("127.0.0.1", port)), socket.socket():
            after = count_fds(own, port)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def test_a_process_that_is_gone_is_left_out() -> None:
    found = dict(look_at_processes({"here": os.getpid(), "gone": 2**22 + 1}))
    assert set(found) == {"here"}


def test_files_are_sized(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.seg").write_bytes(b"xyz")
    assert list(sized(tmp_path, "*/*.seg")) == [(tmp_path / "a" / "1.seg", 3)]
