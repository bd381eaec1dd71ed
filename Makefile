# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export NO_ALBUMENTATIONS_UPDATE := 1
# Tests are small: processes beside each other are quicker than threads in one, and idle threads must not spin.
JOBS ?= 2
test test-fast test-slow test-trackers coverage: export OMP_NUM_THREADS := 1
test test-fast test-slow test-trackers coverage: export OMP_WAIT_POLICY := PASSIVE

# Left out of test-fast, by measured time: whole runs, other processes, photos that are drawn, a test of every component.
LONGER := cli runs deploy testing data/making evaluation/report test_documentation.py \
	$(addprefix components/,backbones distortions samplers transforms test_every_component_in_a_recipe.py test_provenance.py)

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-slow test-trackers coverage lint format typecheck map bench

help:            ## This list
	@sed -n 's/^\([a-zA-Z/][^:=]*\):[^#=]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "%-20s %s\n", $$1, $$2}'

setup: .venv/.ready  ## Make .venv with everything that the others need

PLUGINS := $(wildcard plugins/*/)
# Otherwise setuptools installs by import hooks, which type checkers do not follow.
EDITABLE := --config-settings editable_mode=compat

.venv/.ready: pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MetricFace needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(EDITABLE) -e '.[cpu,demo,dev]' $(PLUGINS:%=-e %)
	touch $@

run: setup       ## Train and evaluate on embedded real faces: experiments/task_b.toml
	$(BIN)/metricface data demo
	$(BIN)/metricface run experiments/task_b.toml

test: lint       ## Linters, types, and all tests but the slow ones
	$(BIN)/pytest -n $(JOBS)

test-fast: setup ## The tests to run while you work; ARGS="-k margin" chooses among them
	$(BIN)/pytest -n $(JOBS) tests $(LONGER:%=--ignore tests/%) $(ARGS)

test-slow: setup ## The tests that take minutes
	$(BIN)/pytest -m slow

test-trackers:   ## The trackers against their real packages, in an environment of its own: .venv-trackers
	test -x .venv-trackers/bin/python || $(PYTHON) -m venv .venv-trackers
	.venv-trackers/bin/python -m pip install --disable-pip-version-check --quiet $(EDITABLE) -e '.[tensorboard,mlflow,wandb,dev]' trackio
	.venv-trackers/bin/python -m pytest tests/components/trackers

coverage: setup  ## Lines that no test reaches; ARGS=tests/recipe looks at some tests only
	$(BIN)/pytest -n $(JOBS) --cov=metricface --cov-report=term-missing:skip-covered $(ARGS)

lint: setup      ## Linters and types, as before every commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup    ## Format all Python files and sort their imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

typecheck: setup ## Types alone
	$(BIN)/mypy

map:             ## Draw the picture of the rooms, docs/rooms.svg, from the imports
	$(PYTHON) docs/map.py

.PHONY: plugins/README.md
plugins/README.md: setup ## Write the contract of every kind of component from the code
	$(BIN)/python -m metricface.cli.scaffold.contracts_page > $@.part
	mv $@.part $@

bench: setup     ## Run a benchmark: NAME=task_b_methods ARGS="--photos PHOTOS --split SPLIT.csv"; its top says what it takes
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)
