"""Measures `python main.py proxy` against a bare aiohttp pass-through, alternating in one run.

Run by `make bench`. Gateway on the first core, mock upstream and load generator on the second;
CPU from the kernel's accounting, memory as PSS. Only ratios inside one run mean anything.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
TASKSET = shutil.which("taskset") or "taskset"
KEY = "bench-key-of-at-least-thirty-two-characters"
UPSTREAM_PORT, BARE_PORT, APEX_PORT = 9900, 9901, 9902
SCENARIOS = {
    "miss 1 KB, 64 connections": ("-c 64", 800, False),
    "miss 32 KB, 64 connections": ("-c 64", 32_500, False),
    "miss 1 KB, 40 req/s (latency)": ("-c 8 -r 40", 800, False),
    "stream, 20 at a time": ("-c 20 -s", 800, True),
}
CONFIG = f"""
upstreams:
  bench:
    kind: openai
    base_url: http://127.0.0.1:{UPSTREAM_PORT}/v1
    api_key: sk-upstream
    allow_private: true
    stream_usage: false
models:
  gpt-4o-mini:
    upstreams: [bench]
    price: {{input_per_million_usd: 0.15, output_per_million_usd: 0.6}}
tenants:
  bench:
    keys: [{{name: bench, secret: env:BENCH_KEY}}]
    policy: balanced
"""


@dataclass(slots=True)
class Contestant:
    """One gateway under test."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    cold_start_s: float = 0.0
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def compile_tools(directory: Path) -> None:
    """Build the load generator and the mock upstream."""
    for name in ("lg", "mock"):
        source = HERE / "c" / f"{name}.c"
        command = ["gcc", "-O2", "-D_GNU_SOURCE", "-w", "-o", str(directory / name), str(source)]
        subprocess.run(command, check=True)


def write_body(path: Path, size: int, *, streams: bool) -> Path:
    """Write a request whose running number makes every one unique."""
    text = "Summarise the following ticket for an engineer and list the next steps. " * 2000
    document = {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "@@N@@. " + text[:size]},
        ],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    path.write_text(json.dumps(document | ({"stream": True} if streams else {})))
    return path


def start(name: str, port: int, command: list[str], environment: dict[str, str]) -> Contestant:
    """Start a gateway on the first core and time it to its first correct answer."""
    began = time.monotonic()
    process = subprocess.Popen(
        [TASKSET, "-c", "0", *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    while time.monotonic() - began < 60:
        try:
            request = urllib.request.Request(url, data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 loopback
                json.load(answer)
            return Contestant(name, port, process, time.monotonic() - began)
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise SystemExit(f"{name} did not start")


def tree_of(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree_of(int(child))
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds these processes have used."""
    total = 0
    for pid in pids:
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(stat.read_text().split()[0])
    return total / 1e9


def pss_mib(pids: list[int]) -> float:
    """Return the proportional memory of these processes in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def load(tools: Path, port: int, options: str, body: Path, seconds: float) -> dict[str, Any]:
    """Run the load generator once on the second core."""
    command = [
        TASKSET, "-c", "1", str(tools / "lg"), "-p", str(port), "-t", str(seconds), "-w", "1",
        "-u", "/v1/chat/completions", "-b", str(body), *options.split(),
        "-H", f"Authorization: Bearer {KEY}",
    ]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


def measure(contestants: list[Contestant], tools: Path, rounds: int, seconds: float) -> None:
    """Alternate A B, B A, ... so that a noisy neighbour hits both."""
    for scenario, (options, size, streams) in SCENARIOS.items():
        body = write_body(tools / "body.json", size, streams=streams)
        for number in range(rounds):
            order = contestants if number % 2 == 0 else contestants[::-1]
            for contestant in order:
                pids = tree_of(contestant.process.pid)
                before = cpu_s(pids)
                result = load(tools, contestant.port, options, body, seconds)
                result["cpu_s"] = cpu_s(pids) - before
                result["pss"] = pss_mib(pids)
                result["cpu_us"] = result["cpu_s"] / max(1, result["rps"] * (seconds + 1)) * 1e6
                contestant.results.setdefault(scenario, []).append(result)
                print(f"  {scenario}: {contestant.name} round {number + 1}/{rounds}", flush=True)


def report(contestants: list[Contestant], direct: dict[str, float]) -> None:
    """Print one table per scenario, with medians, ranges and ratios to the first contestant."""
    for scenario in SCENARIOS:
        print(f"\n{scenario}")
        print(f"  {'':10}{'req/s (min-max)':>26}{'cpu us/req':>12}{'p50 us':>10}{'ttft us':>10}"
              f"{'added p50':>11}{'bad':>5}")  # fmt: skip
        rates = []
        for each in contestants:
            runs = each.results[scenario]
            rate = statistics.median(run["rps"] for run in runs)
            low, high = min(run["rps"] for run in runs), max(run["rps"] for run in runs)
            p50 = statistics.median(run["lat"]["p50"] for run in runs)
            ttft = statistics.median(run["ttft"]["p50"] for run in runs)
            cpu = statistics.median(run["cpu_us"] for run in runs)
            bad = sum(run["bad"] + run["err"] for run in runs)
            rates.append((rate, cpu, p50))
            print(f"  {each.name:10}{f'{rate:.0f} ({low:.0f}-{high:.0f})':>26}{cpu:>12.0f}"
                  f"{p50:>10.0f}{ttft:>10.0f}{p50 - direct[scenario]:>11.0f}{bad:>5}")  # fmt: skip
        print(f"  ratio apex/bare: req/s {rates[1][0] / rates[0][0]:.2f}, "
              f"cpu {rates[1][1] / rates[0][1]:.2f}")  # fmt: skip
    print()
    for each in contestants:
        pss = each.results[next(iter(SCENARIOS))][-1]["pss"]
        print(f"{each.name}: cold start {each.cold_start_s:.2f} s, PSS after load {pss:.0f} MiB")


def start_all(tools: Path, started: list[subprocess.Popen[bytes]]) -> list[Contestant]:
    """Start the mock upstream, the yardstick and the gateway, in this order."""
    environment = dict(os.environ) | {
        "APEX_HOME": str(tools / "home"),
        "APEX_CONFIG": str(tools / "apex.yaml"),
        "APEX_PROXY_PORT": str(APEX_PORT),
        "BENCH_KEY": KEY,
    }
    python = sys.executable
    mock = [TASKSET, "-c", "1", str(tools / "mock"), "-p", str(UPSTREAM_PORT)]
    started.append(subprocess.Popen(mock))
    upstream = f"http://127.0.0.1:{UPSTREAM_PORT}"
    bare_command = [python, "-m", "bench.bare_aiohttp", "--port", str(BARE_PORT),
                    "--upstream", upstream]  # fmt: skip
    apex_command = [python, "main.py", "proxy"]
    # Twice: the first start of the gateway makes its home, the second is the cold start.
    first = start("apex", APEX_PORT, apex_command, environment).process
    first.terminate()
    first.wait(timeout=40)
    contestants = [
        start("bare", BARE_PORT, bare_command, environment),
        start("apex", APEX_PORT, apex_command, environment),
    ]
    started += [each.process for each in contestants]
    for each in contestants:
        idle = pss_mib(tree_of(each.process.pid))
        print(f"{each.name}: cold start {each.cold_start_s:.2f} s, PSS idle {idle:.0f} MiB")
    return contestants


def measure_direct(tools: Path) -> dict[str, float]:
    """Return the median latency without a gateway, in microseconds by scenario."""
    direct: dict[str, float] = {}
    for scenario, (options, size, streams) in SCENARIOS.items():
        body = write_body(tools / "body.json", size, streams=streams)
        direct[scenario] = load(tools, UPSTREAM_PORT, options, body, 2)["lat"]["p50"]
    return direct


def main() -> None:
    """Run everything and stop what was started."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        tools = Path(name)
        compile_tools(tools)
        (tools / "apex.yaml").write_text(CONFIG)
        try:
            contestants = start_all(tools, started)
            direct = measure_direct(tools)
            measure(contestants, tools, arguments.rounds, arguments.seconds)
            report(contestants, direct)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(timeout=40)


if __name__ == "__main__":
    main()
