# Netra Apex: every task of daily work. `make help` lists them.
PYTHON ?= python3
# Compiled modules are kept, whatever the shell says: without them every start compiles anew.
unexport PYTHONDONTWRITEBYTECODE
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install install-dev lock run test test-long check lint format format-check types \
        imports bench bench-peers profile soak demo demo-calls demo-control \
        migrate clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## make .venv and install the runtime lock (hashes checked)
	@$(PYTHON) deploy/install.py --venv $(VENV) requirements.txt

install-dev:  ## the same with the tools of the tests and checks
	@$(PYTHON) deploy/install.py --venv $(VENV) requirements-dev.txt

run: install  ## start the gateway on embedded engines; Ctrl-C stops it
	@exec $(BIN)/python main.py all

test: install-dev  ## run the tests, with coverage
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term

test-long: install-dev  ## run every test, the long versions too
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "long or not long" --timeout 3600

check: lint format-check types imports test  ## everything CI runs

lint: install-dev  ## ruff: faults and house rules
	$(BIN)/ruff check .

format: install-dev  ## rewrite the sources in the house format
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

format-check: install-dev
	$(BIN)/ruff format --check .

types: install-dev  ## mypy, strict
	$(BIN)/mypy

imports: install-dev  ## who may import whom
	$(BIN)/lint-imports

bench: install  ## measure the gateway beside aiohttp's yardsticks; table into docs/bench (4 min)
	@$(BIN)/python -m bench.gateways

bench-peers: install  ## the same beside nginx, Envoy, TensorZero, Portkey, LiteLLM (bench/peers.sh installs them)
	@$(BIN)/python -m bench.gateways --peers --seconds 3 --load-minutes 10

profile: install  ## sample the proxy under load: price of each stage, flame graph into docs/bench
	@$(BIN)/python -m bench.profiling

soak: install-dev  ## half load for half an hour with faults, the columnar store killed for 10 minutes
	@$(BIN)/python -m bench.soak

demo: install  ## replay a real trace under two policies, through a throw-away gateway (3 min)
	@$(BIN)/python -m bench.demo

demo-calls: install  ## start a throw-away gateway on the mock, send a few calls, show the usage
	@$(BIN)/python bench/demo_calls.py

demo-control: install  ## a tenant, its owner, a key with a budget, refused when it is used up
	@$(BIN)/python -m bench.demo_control

migrate: install  ## bring the stores under APEX_HOME to the current schema
	$(BIN)/python main.py migrate

lock: install-dev  ## resolve requirements*.in again into the hashed locks, those of tests/stacks too
	@for name in requirements requirements-dev requirements-bootstrap \
	  $(basename $(wildcard tests/stacks/*.in)); do \
	  echo "lock: $$name.txt"; \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header $$name.in -o $$name.txt || exit 1; \
	done
	@for place in $(dir $(wildcard tests/stacks/*/package.json)); do \
	  echo "lock: $${place}package-lock.json"; rm -f $${place}package-lock.json; \
	  npm install --prefix $$place --package-lock-only --omit-lockfile-registry-resolved \
	    --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null || exit 1; \
	done

clean:  ## remove .venv, caches and reports; the state under .apex stays
	rm -rf $(VENV) .venv-stacks tests/stacks/*/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis htmlcov
	rm -f .coverage .coverage.* coverage.xml
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
