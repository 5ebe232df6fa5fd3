# Everything a person types. `make` alone lists it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NAME ?= main

# Processes that start in seconds compile their modules once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-fast test-deep test-benchmarks lint-sql bench lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make the virtual environment with the pinned dependencies

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Metrify needs Python 3.11: install it, or say PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV): this takes a few minutes once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup ## simulate a utility and run the main job on it
	@$(BIN)/metrify demo

dev: setup ## open the Dagster UI on 127.0.0.1:3000
	@$(BIN)/metrify dev

test: setup ## lint and run every test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/python -m pytest tests/unit -n 2
	@$(BIN)/python -m pytest tests/integration -n 2 --dist loadfile

test-benchmarks: setup ## run every benchmark in its shortest form; no figures are written
	@METRIFY_BENCHMARKS=1 $(BIN)/python -m pytest tests/integration/test_benchmarks_run.py

test-fast: setup ## run the unit tests alone
	@$(BIN)/python -m pytest tests/unit -n 2
	@$(BIN)/python -m mypy

test-deep: setup ## compare validation and estimation with the slow oracles on fifty times as many random days
	@METRIFY_EXAMPLES=$${METRIFY_EXAMPLES:-50} $(BIN)/python -m pytest tests/unit/vee -n 2

lint-sql: setup ## check the style of the dbt project's SQL
	@$(BIN)/python -m pytest tests/integration/test_sql_style.py

bench: setup ## measure: make bench NAME=main
	@$(BIN)/python -m benchmarks $(NAME)

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --group dev --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --upgrade -o requirements.lock

clean: ## remove the virtual environment and build leftovers, not the data in .metrify
	rm -rf $(VENV) metrify_dbt/target metrify_dbt/logs .pytest_cache .ruff_cache .mypy_cache .hypothesis
