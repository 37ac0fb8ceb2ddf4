# Everything runs through uv: the one on the PATH, or one that is installed into the virtual environment.
SHELL := /bin/sh
VENV := .venv
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bin/uv)
BILLING_HOME ?= $(CURDIR)/data/home
override BILLING_HOME := $(abspath $(BILLING_HOME))
export BILLING_HOME
export BILLING_DAGSTER = $(BILLING_HOME)/dagster
export DAGSTER_HOME = $(CURDIR)
export VIRTUAL_ENV = $(CURDIR)/$(VENV)
# Python keeps what it compiles: the tests start it dozens of times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo dev test torture check bench docs clean
help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.synced ## Install everything into .venv
$(VENV)/.synced: pyproject.toml uv.lock
	@[ -x "$(UV)" ] || { $(PYTHON) -m venv $(VENV) && $(VENV)/bin/python -m pip install --quiet uv; }
	$(UV) sync --locked --inexact --compile-bytecode
	@touch $@

demo: setup ## A simulated company's month, from an empty home to printed invoices
	$(VENV)/bin/billing demo

dev: setup ## The Dagster UI on http://127.0.0.1:3000
	@mkdir -p $(BILLING_DAGSTER)
	$(VENV)/bin/dg dev -w workspace.yaml

test: setup ## The tests (under 5 minutes)
	$(VENV)/bin/python -m pytest -m "not torture" -n auto --dist loadfile --no-loadscope-reorder

torture: setup ## Long crash and load runs
	$(VENV)/bin/python -m pytest -m torture --timeout 3600

check: setup ## Lint, types, import rules, definitions
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@mkdir -p $(BILLING_DAGSTER)
	$(VENV)/bin/dg check defs

bench: setup ## Benchmarks, each beside its baseline
	$(VENV)/bin/python benchmarks/raw_to_rollups.py
	$(VENV)/bin/python benchmarks/ingest.py --events 100000
	$(VENV)/bin/python benchmarks/late_usage.py --events 1000000
	$(VENV)/bin/python benchmarks/dedup_history.py --case 35:200000
	$(VENV)/bin/python benchmarks/backfill.py --days 30 --events 20000
	$(VENV)/bin/python benchmarks/rating.py
	$(VENV)/bin/python benchmarks/guard.py --calls 10000 --baseline-calls 2000
	$(VENV)/bin/python benchmarks/invoicing.py --customers 1000 --invoices 100
	$(VENV)/bin/python benchmarks/velocity.py --customers 2

docs: setup ## Make the generated pages of docs/ anew
	$(VENV)/bin/python -m billing_pipeline.schemas.document > docs/tables.md
	$(VENV)/bin/python -m billing_pipeline.contract.reason_codes > docs/reason-codes.md
	$(VENV)/bin/python -m billing_pipeline.charge_sheet.page docs

clean: ## Remove the virtual environment and caches; data/home stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
