# Every target makes what it needs: .venv, filled from the locks with hashes. No root, no Docker.
#   make demo [ARGS=--once]   make test [ARGS=tests/core]   make test-full   make check   make nightly   make sbom   make bench [QUICK=1] [SOAK=minutes]   make bench-events   make bench-judge   make bench-shadow   make bench-peers   make bank DATA=…/bank-marketing   make bank-stream DATA=…/bank-marketing   make starbucks DATA=…/starbucks   make learning   make starbucks-learning DATA=…/starbucks   make protos   make desktop   make lock   make clean
# Another Python than the newest one found: make test PYTHON=/path/to/python3.12

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-full nightly sbom check lint bench bench-events bench-judge bench-shadow bench-peers bank bank-stream starbucks starbucks-learning learning protos desktop lock lock-peers clean

PYTHON ?=
ARGS ?=
# How many test files run side by side; 0 for one after the other, in one process.
JOBS ?= 2
# make bench QUICK=1 ends within three minutes; SOAK=10 adds ten minutes of steady load at the end.
QUICK ?=
SOAK ?=
DATA ?=
BIN := .venv/bin
NODE := tests/clients/node
PAGES := service/web
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --require-hashes --only-binary :all:

help:
	@sed -n '1,3s/^# *//p' Makefile

demo: .venv/.runtime
	@exec $(BIN)/python -m service.leash $$PPID service.cli demo $(ARGS)  # it ends with make, kill -9 included

test: .venv/.dev $(NODE)/node_modules $(PAGES)/node_modules
	@exec $(BIN)/python -m pytest -p no:valkey -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The same tests as `make test`, with as many random cases as one night allows: an hour or so on two cores.
NIGHTLY := TACT_BOTH_STORES=1 TACT_PROVEN_STRATEGIES=200 TACT_PROVEN_CONTEXTS=10000 TACT_WRONG_STRATEGIES=99 TACT_KERNEL_CASES=20000 TACT_ANSWERS_TOLD=20000 TACT_ANSWERS=20000 TACT_CROSSTALK_READS=100000 TACT_COVERAGE_RUNS=4000 TACT_SAME_FEATURES=300 TACT_LOG_ROWS=500000 TACT_HALVES=100 TACT_UPLIFT_RUNS=400 TACT_BANK_SPLITS=10 TACT_BANK_BATCH=100 TACT_LEARNING_DECISIONS=1500 TACT_LEARNING_DRAWS=100 TACT_SAME_CUSTOMERS=400 TACT_LOG_KILLS_EVERY=1 TACT_COUNT_HISTORIES=300 TACT_RELOADS=100 TACT_SWITCHES=40 TACT_SWITCH_ORDERS=200 TACT_HISTORIES=1000 TACT_CONSENT_CASES=100000 TACT_CONSENT_ORDERS=5000 TACT_DECISIONS=2000 TACT_CONDITIONS=20000 TACT_CONDITION_PAIRS=1000000 TACT_CHECK_READINGS=300000 TACT_WITHDRAWALS=3000 TACT_LINK_STEPS=1000 TACT_AS_OF_MEMBERS=17000 TACT_STARBUCKS_MEMBERS=17000 TACT_COMMITS=1000000 TACT_SUPPLY_REQUESTS=10000 TACT_CAP_REQUESTS=100000 TACT_CAP_HISTORIES=2000 TACT_COMMITS_EACH=5000 TACT_FUZZ=300 TACT_RANKINGS=2000 TACT_COMMANDS=30000 TACT_CHAIN_FLIPS=200 TACT_CHAIN_ENTRIES=5000
nightly: .venv/.dev $(NODE)/node_modules $(PAGES)/node_modules
	@exec env $(NIGHTLY) $(BIN)/python -m pytest -p no:valkey $(ARGS)

# Every attack and fault of the edge and all of the live side in the full profile, one after the other because they measure time: about an hour.
test-full: .venv/.dev $(NODE)/node_modules $(PAGES)/node_modules
	@begun=$$SECONDS; ended=0; \
	TACT_FULL=1 $(BIN)/python -m pytest -p no:valkey --durations=10 $(or $(ARGS),tests/edge tests/live tests/service/test_model_reload.py tests/project/test_supply_chain.py) || ended=$$?; \
	echo "test-full took $$(( (SECONDS - begun) / 60 )) min $$(( (SECONDS - begun) % 60 )) s"; exit $$ended

# What requirements.lock brings into the image, with the hash of every file, as CycloneDX; the same bytes each time.
SBOM ?= dist/tact.cdx.json
SBOM_FLAGS ?=
sbom: .venv/.dev
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--of JSON --sv 1.6 $(SBOM_FLAGS) --output-file $(SBOM) requirements.lock >/dev/null
	@echo "The bill of materials is $(SBOM)"

check: lint
	$(BIN)/python -m pytest -p no:valkey -q tests/project

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

bench: .venv/.dev
	@exec $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(SOAK),--soak $(SOAK)) $(ARGS)

bench-events: .venv/.dev
	@exec $(BIN)/python -m benchmarks.events $(ARGS)

bench-judge: .venv/.dev
	@exec $(BIN)/python -m benchmarks.judging $(ARGS)

bench-shadow: .venv/.dev
	@exec $(BIN)/python -m benchmarks.shadow $(ARGS)

# Installs the peers into environments of their own, in .bench/peers, once; then measures them beside us.
bench-peers: .venv/.dev
	@$(BIN)/python -m benchmarks.peers || true  # one that does not install has no figures, and says why
	@exec $(BIN)/python -m benchmarks --only peers $(ARGS)

bank-stream: .venv/.dev
	@exec $(BIN)/python -m benchmarks.bank_stream --data "$(or $(DATA),$(error say where the public data set is: make bank-stream DATA=…/bank-marketing))" $(ARGS)

bank: .venv/.dev
	@exec $(BIN)/python -m benchmarks.bank --data "$(or $(DATA),$(error say where the public data set is: make bank DATA=…/bank-marketing))" $(ARGS)

starbucks: .venv/.dev
	@exec $(BIN)/python -m benchmarks.starbucks --data "$(or $(DATA),$(error say where the public data set is: make starbucks DATA=…/starbucks))" $(ARGS)

starbucks-learning: .venv/.dev
	@exec $(BIN)/python -m benchmarks.starbucks_learning --data "$(or $(DATA),$(error say where the public data set is: make starbucks-learning DATA=…/starbucks))" $(ARGS)

learning: .venv/.dev
	@exec $(BIN)/python -m benchmarks.learning $(ARGS)

protos: .venv/.dev
	$(BIN)/buf format --write
	$(BIN)/python protos/generate_stubs.py

# The pages that ship with the service, made anew from service/web/src; what is made is committed.
desktop:
	@cd $(PAGES) && npm ci --loglevel=error && npm run --silent build

# A lock names versions and hashes, and no address: any index or mirror can serve it. UPGRADE=1 takes the newest.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--only-binary :all: --no-emit-index-url --no-emit-find-links  --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
lock: .venv/bin/python
	$(INSTALL) --only-binary :all: 'uv>=0.13.9'
	$(COMPILE) --all-extras --group build -o requirements-dev.lock pyproject.toml
	$(COMPILE) --constraint requirements-dev.lock -o requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements-dev.lock --group build -o requirements-build.lock

PEERS := benchmarks/peers/locks
lock-peers: .venv/bin/python
	$(INSTALL) --only-binary :all: 'uv>=0.13.9'
	for peer in bentoml feast mabwiser mlserver vowpal; do \
		$(subst make lock,make lock-peers,$(COMPILE)) -o $(PEERS)/$$peer.lock $(PEERS)/$$peer.in; \
	done

clean:
	rm -rf .venv .bench build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/clients/node/node_modules service/web/node_modules
	find . -name __pycache__ -prune -exec rm -rf {} +

# Where there is npm, the tests of the contract with a Node client run too; elsewhere they skip.
$(NODE)/node_modules: $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then \
		(cd $(NODE) && npm ci --no-audit --no-fund --loglevel=error) || echo "npm cannot install the Node client; its tests skip"; \
	fi

# What makes the pages and looks for barriers in them, for tests that skip without it.
$(PAGES)/node_modules: $(PAGES)/package-lock.json
	@if command -v npm >/dev/null; then \
		(cd $(PAGES) && npm ci --no-audit --no-fund --loglevel=error) || echo "npm cannot install the tools of the pages; their tests skip"; \
	fi

# ------------------------------------------------------------------------------------------------ how .venv comes to be

.venv/bin/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
			echo "Making .venv with $$("$$python" --version)"; \
			exec "$$python" -m venv .venv; \
		fi; \
	done; \
	echo 'Tact needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: python3-venv). Name one: make PYTHON=...' >&2; \
	exit 1

.venv/.runtime: requirements.lock requirements-build.lock pyproject.toml $(wildcard models/*.c service/*/*.[ch]) | .venv/bin/python
	@echo 'Installing what Tact needs to run (once, from requirements.lock)'
	@$(LOCKED) -r requirements.lock -r requirements-build.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml $(wildcard models/*.c service/*/*.[ch]) | .venv/bin/python
	@echo 'Installing what Tact needs to be tested (once, from requirements-dev.lock)'
	@$(LOCKED) -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch .venv/.runtime $@
