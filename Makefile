# s2i-hf: `make demo` shows the whole chain, `make test` checks it. Everything is installed into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
VENV3  := .venv-datasets3
# On real data: make demo DATA=bandai_namco_by_index DATA_DIR=path/to/Bandai-Namco
DATA     ?= synthetic_xsub
DATA_DIR ?=

.PHONY: help venv demo test test-slow test-datasets3 quality style bench
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: $(STAMP)  ## create .venv with the tested versions

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## synthetic skeletons -> images -> pretraining -> probe -> card -> few labels, in runs/demo (or DATA=... DATA_DIR=...)
	$(BIN)/s2i demo --data "$(DATA)" $(if $(DATA_DIR),--data_dir "$(DATA_DIR)")

test: $(STAMP)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadscope

test-slow: $(STAMP)  ## run the tests that take minutes too
	$(BIN)/python -m pytest

# An environment of its own: datasets 3.6 pins other versions than the rest. Neither torch nor transformers is needed.
$(VENV3)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV3)
	$(VENV3)/bin/python -m pip install --quiet --disable-pip-version-check datasets==3.6.0 pytest pytest-timeout hypothesis
	$(VENV3)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

test-datasets3: $(VENV3)/.installed  ## run dataset_scripts as loading scripts, under datasets 3.6
	$(VENV3)/bin/python -m pytest tests/data/test_datasets3.py

quality: $(STAMP)  ## lint, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/house.py

style: $(STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## time the hot paths against their peers
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/encoding.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/parsing.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/storage.py
