"""Where the benchmark writes, where the peers are, and what machine this is."""

import os
from pathlib import Path

from bench.gateways.apex_home import ROOT

DOCS = ROOT / "docs" / "bench"
KEPT = ROOT / "build" / "bench"


def peers_directory() -> Path:
    """What bench/peers.sh installed into: BENCH_DIR, or a directory of its own at home."""
    return Path(os.environ.get("BENCH_DIR") or Path.home() / ".gateway-bench")


def describe_machine() -> str:
    """Cores and processor, as the kernel names them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else 'unknown processor'}, {os.cpu_count()} cores, Linux"
