# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: setup run test test-slow bench lint

setup: .venv/.ready

PLUGINS := $(wildcard plugins/*/)

.venv/.ready: pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MetricFace needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[cpu,demo,dev]' $(PLUGINS:%=-e %)
	touch $@

run: setup
	$(BIN)/metricface data demo
	$(BIN)/metricface run experiments/task_b.toml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

test-slow: setup
	$(BIN)/pytest -m slow

# The contract of every kind of component, from the code
.PHONY: plugins/README.md
plugins/README.md: setup
	$(BIN)/python -m metricface.cli.scaffold.contracts_page > $@.part
	mv $@.part $@

# make bench NAME=task_b_methods ARGS="--photos PHOTOS --split SPLIT.csv"; each script says at its top what it takes
bench: setup
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)
