# Everything one does with this repository. `make` alone shows the list.

PYTHON ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin

GIORNATA_HOME ?= $(CURDIR)/.local
export GIORNATA_HOME
# Before what the shell has, also in front of an environment that is activated.
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
SHELL := /bin/sh

INSTALLED := .venv/.installed
CLASSES := .venv/.classes
JARS := build/jars/cassandra/.fetched
CLUSTER_JARS := build/jars/cluster/.fetched
STAGES := build/stages
# Much of a test's time is waiting. Each process has servers of its own, and takes a file of tests at a time.
TWO_PROCESSES := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# $(call stage,NAME,COMMAND) runs a command and notes how long it took.
define stage
@mkdir -p build; echo "== $(1)"; start=$$(date +%s); $(2); status=$$?; \
printf '%-9s %5d s\n' '$(1)' $$(( $$(date +%s) - start )) >> $(STAGES); \
if [ $$status -ne 0 ]; then echo "== $(1) failed"; cat $(STAGES); fi; exit $$status
endef

.PHONY: help
help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Install, start the stack and run the whole loop on real flights
	@rm -f $(STAGES)
	$(call stage,install,$(MAKE) install)
	$(call stage,classes,$(MAKE) classes)
	$(call stage,jars,$(MAKE) jars)
	$(call stage,up,$(MAKE) up)
	$(call stage,demo,$(BIN)/python -m examples.demo)
	@echo; echo "Time of each stage:"; cat $(STAGES)

.PHONY: test
test: ## Install and run every test, on servers of the tests' own
	@rm -f $(STAGES)
	$(call stage,install,$(MAKE) install)
	$(call stage,classes,$(MAKE) classes)
	$(call stage,jars,$(MAKE) jars)
	$(call stage,cluster-jars,$(MAKE) cluster-jars)
	$(call stage,tests,$(BIN)/pytest $(TWO_PROCESSES))
	@echo; echo "Time of each stage:"; cat $(STAGES)

.PHONY: test-fast
test-fast: install ## Run the tests that need neither servers nor processes of their own, with few drawn cases
	@HYPOTHESIS_PROFILE=quick $(BIN)/pytest $(TWO_PROCESSES) -m "not stack and not demo and not processes"

# What a change is held against: the last version where there is one.
SINCE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo main)
TESTS ?= -m "not stack and not demo"

.PHONY: coverage
coverage: install ## Tell which changed lines no test runs; under 90 % it fails (TESTS="tests/jobs" SINCE=main)
	$(BIN)/pytest $(TWO_PROCESSES) --cov --cov-report=xml:build/coverage.xml $(TESTS)
	$(BIN)/diff-cover build/coverage.xml --compare-branch=$(SINCE) --fail-under=90

.PHONY: bench
bench: install ## List the benchmarks, or run one: make bench NAME=dsl OPTIONS="..."
	@$(BIN)/python -m bench $(NAME) $(OPTIONS)

.PHONY: fuzz
fuzz: install ## Draw many thousand cases for the feature language, documents, bundles and requests (an hour)
	@HYPOTHESIS_PROFILE=long $(BIN)/pytest --timeout=7200 tests/dsl tests/giornata/*/test_fuzz_*.py

.PHONY: install
install: $(INSTALLED) ## Make .venv with everything in it

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is missing: \`$(PYTHON)\` is not on PATH or is another version." >&2; \
	  echo "Install it (Debian 12: apt install python3.11 python3.11-venv; macOS: brew install python@3.11;" >&2; \
	  echo "elsewhere: pyenv install 3.11), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	@$(PYTHON) -m stack.prerequisites
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	$(BIN)/uv pip install --python $(BIN)/python --requirement requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: lock
lock: install ## Resolve requirements.in into requirements.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --output-file requirements.txt requirements.in

.PHONY: classes
classes: $(CLASSES) ## Make the archive of Spark's classes that jobs start quickly from

$(CLASSES): $(INSTALLED) jobs/runtime/shared_classes.py
	$(BIN)/python -m jobs.runtime.shared_classes
	@touch $@

.PHONY: jars
jars: $(JARS) ## Fetch Cassandra's jars

$(JARS): stack/pom.xml
	@$(PYTHON) -m stack.prerequisites
	@rm -rf $(@D)
	mvn --quiet --batch-mode --file stack/pom.xml dependency:copy-dependencies
	@touch $@

.PHONY: cluster-jars
cluster-jars: $(CLUSTER_JARS) ## Fetch the jars of YARN and HDFS (90 MB), for `make up SERVICES="yarn-node hdfs-data"`

$(CLUSTER_JARS): stack/cluster-pom.xml
	@$(PYTHON) -m stack.prerequisites
	@rm -rf $(@D)
	mvn --quiet --batch-mode --file stack/cluster-pom.xml dependency:copy-dependencies
	@touch $@

.PHONY: up
up: install classes jars ## Start the local stack (SERVICES="cassandra mail" for some of it)
	@$(BIN)/python -m stack up $(SERVICES)

.PHONY: down
down: ## Stop the local stack; its data stays
	@test ! -x $(BIN)/python || $(BIN)/python -m stack down

.PHONY: status
status: install ## Show how each server is
	@$(BIN)/python -m stack status

.PHONY: logs
logs: install ## Follow the servers' logs (SERVICES="airflow-scheduler" for some)
	@$(BIN)/python -m stack logs --follow $(SERVICES)

.PHONY: sql
sql: install ## Open an SQL prompt, or run a file: make sql FILE=sql/queries/x.sql PROJECT=mine MODEL=late
	@$(BIN)/python -m stack sql $(if $(PROJECT),--project $(PROJECT)) $(if $(MODEL),--model $(MODEL)) $(FILE)

.PHONY: lint
lint: install ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: docs
docs: install ## Build the documentation as a site in build/site; what is wrong with it ends the build
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "build/site/index.html"

.PHONY: format
format: install ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: release
release: install jars ## Build wheel and sdist into dist/, train and score with what is installed from the wheel
	@rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist .
	$(BIN)/python -m stack.release dist/*.whl
	@ls dist

.PHONY: clean
clean: down ## Stop the stack; delete its data, the jars and all caches
	rm -rf "$(GIORNATA_HOME)" build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
