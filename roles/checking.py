"""apex.yaml checked in a process of its own: the supervisor, which calls this, stays light.

The internal verb `check-config` is what runs there; main.py prints its refusal.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from config.settings import Settings


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The internal verb `check-config`; ConfigError."""
    del arguments
    from policies.declared import load_declared

    load_declared(settings.config_path, settings.environ)
    return 0


def check_in_child(settings: Settings) -> int:
    """Its exit status: 0 (also without a file), or 2 after it has said what is wrong."""
    if settings.config_path is None:
        return 0
    main_path = Path(__file__).resolve().parent.parent / "main.py"
    command = [sys.executable, str(main_path), "check-config"]
    return subprocess.run(command, env=dict(settings.environ), check=False).returncode
