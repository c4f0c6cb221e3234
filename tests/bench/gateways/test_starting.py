"""Who does not start is left out with its last words, and the others take part all the same."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.gateways.contestants import Contestant, Place, free_port
from bench.gateways.interpreter import Interpreter
from bench.gateways.processes import BenchError, clean_environment, cpu_s, pss_mib, start_on
from bench.gateways.rounds import Contest
from bench.gateways.starting import start_once
from tests.bench.gateways.samples import report

ANSWERER = """
import http.server, json, sys
BODY = json.dumps({"choices": [{"message": {"content": "MOCK-OK hello"}}],
                   "usage": {"total_tokens": 320}}).encode()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Interpreter(sys.executable, "3", is_pgo=False), 1, tmp_path)


def python(name: str, code: str, port: int) -> Contestant:
    return Contestant(name, name.title(), port, (sys.executable, "-c", code, str(port)))


def test_one_that_ends_at_once_says_why(place: Place) -> None:
    with pytest.raises(BenchError, match="no licence"):
        start_once(python("broken", "raise SystemExit('no licence')", free_port()), place)


def test_the_others_take_part_without_it(place: Place) -> None:
    made = report()
    contest = Contest(place, made, starts=2)
    missing = Contestant("nginx", "nginx", 1, ("nginx",), missing="not installed")
    try:
        contest.start_all([
            python("broken", "raise SystemExit('no licence')", free_port()),
            missing,
            python("whole", ANSWERER, free_port()),
        ])  # fmt: skip
        assert "no licence" in made.entries["broken"].trouble
        assert made.entries["nginx"].trouble == "not installed"
        assert made.entries["whole"].trouble == ""
        assert len(made.entries["whole"].cold_starts_s) == 2
        assert made.entries["whole"].idle_mib > 1
    finally:
        contest.stop_all()


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stopped_process_is_gone_with_its_children(tmp_path: Path) -> None:
    child = "import time; time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = start_on("0", [sys.executable, "-c", code], clean_environment({}), tmp_path / "log")
    wait_until(lambda: len(started.tree()) == 2)
    pids = started.tree()
    started.stop()
    wait_until(lambda: not any(map(is_running, pids)))


def test_the_kernel_counts_this_process() -> None:
    assert cpu_s([os.getpid()]) > 0
    assert pss_mib([os.getpid()]) > 1
    gone = [2**22 + 1]
    assert (cpu_s(gone), pss_mib(gone)) == (0, 0)


def test_no_key_and_no_setting_of_the_shell_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "APEX_HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    environment = clean_environment({"APEX_CONFIG": "y"})
    assert environment["APEX_CONFIG"] == "y"
    assert not {"OPENAI_API_KEY", "APEX_HOME", "PYTHONPATH"} & set(environment)
