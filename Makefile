# Everything a person types. `make` alone lists it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NAME ?= main

# Processes that start in seconds compile their modules once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo dev lint test test-fast test-rest test-all test-deep test-benchmarks lint-sql bench lock clean

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

# Three speeds, each an expression of the markers in pyproject.toml. A module stays in one worker, with what it set up.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder
SELDOM := servers or daemon or real_data or benchmarks or seldom

test-fast: lint ## what you run all day: style, imports, unit tests with few examples
	@METRIFY_TEST_PROFILE=fast $(PYTEST) tests/unit -m "not (slow or $(SELDOM))"

test: lint ## before you push: all laws, a way through dbt, automation, S3, the command line
	@METRIFY_TEST_PROFILE=default $(PYTEST) -m "not ($(SELDOM))"

test-rest: setup ## what `make test` leaves out: servers, daemon, real files, benchmarks, the long ways through dbt
	@METRIFY_TEST_PROFILE=all $(PYTEST) -m "$(SELDOM)" --durations=50

test-all: lint ## every test with all examples; prints the slowest
	@METRIFY_TEST_PROFILE=all $(PYTEST) --durations=50

test-deep: setup ## compare validation and estimation with the slow oracles on fifty times as many random days
	@METRIFY_TEST_PROFILE=deep $(PYTEST) tests/unit/vee

test-benchmarks: setup ## run every benchmark in its shortest form; no figures are written
	@$(BIN)/python -m pytest tests/integration/test_benchmarks_run.py -n 2

lint: setup ## style, types, and which room imports which
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python -m mypy

lint-sql: setup ## check the style of the dbt project's SQL
	@$(BIN)/python -m pytest tests/integration/test_sql_style.py

bench: setup ## measure: make bench NAME=main
	@$(BIN)/python -m benchmarks $(NAME)

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --upgrade -o requirements.lock

clean: ## remove the virtual environment and build leftovers, not the data in .metrify
	rm -rf $(VENV) metrify_dbt/target metrify_dbt/logs .pytest_cache .ruff_cache .mypy_cache .hypothesis
