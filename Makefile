# Every target sets up what it needs by itself, on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.set-up
DEMO_PORT ?= 8080

.PHONY: help setup demo serve test test-slow check bench lint types contracts wheel lock programs

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(SETUP) ## Make .venv with everything pinned

$(SETUP): requirements/installer.txt requirements/dev.txt requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Thingport needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv; this takes a minute or so, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements/demo.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src demo
	@touch $@

demo: $(SETUP) ## Export three airports' weather, and prove every value
	@$(BIN)/python demo/weather.py --output demo/weather.zip

serve: $(SETUP) ## Serve the demo's data on this machine
	@$(BIN)/python demo/weather.py --serve --port $(DEMO_PORT)

programs: # Programs of other people that the tests read our archives with
	@command -v unzip >/dev/null && command -v 7z >/dev/null || { \
	  echo "Installing unzip and 7z for the tests."; \
	  SUDO=$$(test $$(id -u) = 0 || echo sudo); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq unzip p7zip-full >/dev/null; }

test: $(SETUP) programs ## Run the tests
	@$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term

test-slow: $(SETUP) programs ## Run the tests that take minutes
	@$(BIN)/python -m pytest -m slow

lint: $(SETUP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(SETUP)
	@$(BIN)/mypy
	@$(BIN)/basedpyright

contracts: $(SETUP)
	@$(BIN)/lint-imports

check: lint types contracts test ## Everything that a change must pass

bench: $(SETUP) ## Measure how fast readings come in, and are read before and after merging
	@$(BIN)/python benchmarks/ingest.py
	@$(BIN)/python benchmarks/compaction.py

wheel: $(SETUP) ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation

lock: $(SETUP) # Pin what pyproject.toml asks for, anew
	@$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --python-version 3.11 --universal --no-header -o requirements/runtime.txt
	@$(BIN)/uv pip compile -q pyproject.toml --extra postgres --group dev --generate-hashes --python-version 3.11 --universal --no-header -o requirements/dev.txt
