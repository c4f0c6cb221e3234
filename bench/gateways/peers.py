"""The peers that bench/peers.sh installs, each set up as its documentation says, without extras.

One that is not installed takes part with the reason why it has no figures.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.gateways.contestants import MODEL, Contestant, Place, free_port

FILES = Path(__file__).parent / "peer_files"
NOT_INSTALLED = "not installed (run bench/peers.sh)"
LITELLM_ENVIRONMENT = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched at the start
    "NO_DOCS": "True",
}


def peers(place: Place) -> list[Contestant]:
    """All of them, in the order of the table."""
    return [
        nginx(place), envoy(place), tensorzero(place), portkey(place), litellm(place)
    ]  # fmt: skip


def nginx(place: Place) -> Contestant:
    binary = Path(shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "nginx")
    port = free_port()
    config = fill(place, "nginx.conf", port)
    found = Contestant("nginx", "nginx", port, (str(binary), "-c", str(config)))
    return _if_installed(found, binary, lambda: _said([str(binary), "-v"]))


def envoy(place: Place) -> Contestant:
    binary = place.peers / "envoy" / "bin" / "envoy"
    port = free_port()
    options = ("--concurrency", "1", "-l", "error", "--use-dynamic-base-id")
    words = ("-c", str(fill(place, "envoy.yaml", port)), *options)
    found = Contestant("envoy", "Envoy", port, (str(binary), *words))
    return _if_installed(found, binary, lambda: _said([str(binary), "--version"]))


def tensorzero(place: Place) -> Contestant:
    """Its gateway as its Python package embeds it; it picks a port of its own."""
    python = place.peers / "tensorzero" / "bin" / "python"
    config = fill(place, "tensorzero.toml", 0)
    port_file = place.work / "tensorzero.port"
    words = (str(FILES / "tensorzero_gateway.py"), str(config), str(port_file))
    found = Contestant(
        "tensorzero", "TensorZero", 0, (str(python), *words),
        environment={"BENCH_UPSTREAM_KEY": "sk-upstream"}, path="/openai/v1/chat/completions",
        model=f"tensorzero::model_name::{MODEL}", port_file=port_file,
    )  # fmt: skip
    return _if_installed(found, python, lambda: _package_version(python, "tensorzero"))


def portkey(place: Place) -> Contestant:
    package = place.peers / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    script = package / "build" / "start-server.js"
    port = free_port()
    headers = (
        "Authorization: Bearer sk-upstream",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: {place.upstream}/v1",
    )
    found = Contestant(
        "portkey", "Portkey", port, ("node", str(script), f"--port={port}", "--headless"),
        environment={"NODE_ENV": "production"}, headers=headers,
    )  # fmt: skip
    return _if_installed(
        found, script, lambda: str(json.loads((package / "package.json").read_text())["version"])
    )


def litellm(place: Place) -> Contestant:
    """One worker, a master key, no database: with virtual keys it would do more work."""
    directory = place.peers / "litellm" / "bin"
    port = free_port()
    words = ("--config", str(fill(place, "litellm.yaml", port)), "--host", "127.0.0.1")
    command = (str(directory / "litellm"), *words, "--port", str(port))
    found = Contestant("litellm", "LiteLLM", port, command, environment=LITELLM_ENVIRONMENT)
    python = directory / "python"
    return _if_installed(found, directory / "litellm", lambda: _package_version(python, "litellm"))


def fill(place: Place, name: str, port: int) -> Path:
    """A peer's configuration with the ports and places of this run."""
    text = (FILES / name).read_text()
    known = {"PORT": str(port), "UPSTREAM_PORT": str(place.upstream_port), "WORK": str(place.work)}
    for word, value in known.items():
        text = text.replace(f"@{word}@", value)
    path = place.work / name
    path.write_text(text)
    return path


def _if_installed(found: Contestant, needed: Path, version: Callable[[], str]) -> Contestant:
    if not needed.exists():
        return replace(found, missing=NOT_INSTALLED)
    return replace(found, version=version())


def _said(command: list[str]) -> str:
    """The version number in what a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found[0] if found else "unknown version"


def _package_version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return _said([str(python), "-c", code])
