#!/usr/bin/env bash
# Measures the gateway side by side with a bare aiohttp pass-through, in one run. See bench/run.py.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v gcc >/dev/null || { echo "bench needs gcc (Debian: apt-get install gcc libc6-dev)" >&2; exit 2; }
exec .venv/bin/python -m bench.run "$@"
