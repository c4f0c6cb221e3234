"""Asks the measured home afterwards whether every call was recorded. Called at the end of a run."""

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.gateways.apex_home import ROOT, environment_of
from bench.gateways.processes import clean_environment

ASK_S = 900


def describe_records(python: str, home: Path) -> str:
    """What `main.py conservation` says of the log and the store, in a line."""
    try:
        done = subprocess.run(
            [python, str(ROOT / "main.py"), "conservation", "--json"], cwd=home,
            env=clean_environment(environment_of(home, 0, 1)),
            capture_output=True, text=True, check=False, timeout=ASK_S,
        )  # fmt: skip
        return in_a_line(json.loads(done.stdout))
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
        return f"unknown, the check failed: {error!r}"[:200]


def in_a_line(said: dict[str, Any]) -> str:
    verdict = "log and store agree exactly" if said["is_exact"] else "log and store DIFFER"
    counts = ("starts", "ends", "unknown_attempts")
    starts, ends, unknown = (f"{said[name]:,}" for name in counts)
    return f"{starts} starts = {ends} ends + {unknown} unknown; {verdict}"
