# s2i-hf: `make demo` shows the whole chain, `make test` checks it. Everything is installed into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DOCS   := $(VENV)/.docs
VENV3  := .venv-datasets3
BUILD  := .venv-build
WHEEL  := .venv-wheel
FLOORS := .venv-floors
NEWEST := .venv-newest
PIP    := -m pip install --quiet --disable-pip-version-check
# Of torch, the version whose CPU build the tests have; test-floors TORCH=2.11.0 and test-newest TORCH= take others (on Linux with an index of
# CPU builds, or pip brings gigabytes).
TORCH  ?= $(patsubst torch==%,%,$(filter torch==%,$(file <constraints.txt)))
# Of a release: make release-check TAG=v0.1.0 REPOSITORY=https://HOST/OWNER/NAME
TAG        ?=
REPOSITORY ?=
# On real data: make demo DATA=bandai_namco_by_index DATA_DIR=path/to/Bandai-Namco
DATA     ?= synthetic_xsub
DATA_DIR ?=

.PHONY: help venv demo weights test test-slow test-datasets3 test-wheel test-floors test-newest release-check clean-wheel quality style bench docs notebooks
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: $(STAMP)  ## create .venv with the tested versions

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -c constraints.txt torch
	$(BIN)/python $(PIP) -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## synthetic skeletons -> images -> pretraining -> probe -> card -> few labels, in runs/demo (or DATA=... DATA_DIR=...)
	$(BIN)/s2i demo --data "$(DATA)" $(if $(DATA_DIR),--data_dir "$(DATA_DIR)")

# A smoke run: make weights DATA_DIR=path MAX_STEPS=5. Killed at any moment, the same command goes on.
weights: $(STAMP)  ## a skeleton encoder to share, from vision:tiny, in runs/weights: DATA_DIR=folder of UI-PRMD and Bandai-Namco
	@test -d "$(DATA_DIR)/UI-PRMD" -a -d "$(DATA_DIR)/Bandai-Namco" || { echo "make weights needs DATA_DIR=path with UI-PRMD and Bandai-Namco in it"; exit 1; }
	@test -d runs/weights_data || { $(BIN)/s2i synthesize --output runs/weights_data.part && mv runs/weights_data.part runs/weights_data; }
	$(BIN)/s2i pretrain --config universal/weights --resume $(if $(MAX_STEPS),--max_steps $(MAX_STEPS)) \
	  --data_dir "ui_prmd_kinect_xsub=$(DATA_DIR)/UI-PRMD,bandai_namco_by_index=$(DATA_DIR)/Bandai-Namco,synthetic_xsub=runs/weights_data"
	@echo "Next: s2i push runs/weights USER/NAME"

test: $(STAMP)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadscope

test-slow: $(STAMP)  ## run the tests that take minutes too
	$(BIN)/python -m pytest

# An environment of its own: datasets 3.6 pins other versions than the rest. Neither torch nor transformers is needed.
$(VENV3)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV3)
	$(VENV3)/bin/python $(PIP) datasets==3.6.0 pytest pytest-timeout hypothesis
	$(VENV3)/bin/python $(PIP) --no-deps -e .
	@touch $@

test-datasets3: $(VENV3)/.installed  ## run dataset_scripts as loading scripts, under datasets 3.6
	$(VENV3)/bin/python -m pytest tests/data/test_datasets3.py

# dist/ and an environment that has the wheel, what it declares, and nothing else
clean-wheel: $(BUILD)/.installed
	$(BUILD)/bin/python .ci/release.py $(if $(TAG),--tag "$(TAG)") $(if $(REPOSITORY),--repository "$(REPOSITORY)")
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python $(PIP) -c constraints.txt torch
	$(WHEEL)/bin/python $(PIP) -c constraints.txt dist/*.whl
	$(WHEEL)/bin/python -m pip check

$(BUILD)/.installed: constraints.txt
	$(PYTHON) -m venv $(BUILD)
	$(BUILD)/bin/python $(PIP) -c constraints.txt build twine
	@touch $@

release-check: clean-wheel  ## build sdist and wheel, check versions, contents and index page, install the wheel in a clean environment
	cd dist && ../$(WHEEL)/bin/python -I -m s2i_hf env

test-wheel: clean-wheel  ## do what README.md says with the wheel alone, in a clean environment
	OMP_NUM_THREADS=1 $(WHEEL)/bin/python -I .ci/wheel.py

# Two environments beside the tested versions: what pyproject.toml allows at the least, and whatever there is today
TESTERS := pytest pytest-timeout pytest-xdist hypothesis scikit-learn scipy ezc3d

$(FLOORS)/.installed: pyproject.toml constraints-min.txt
	rm -rf $(FLOORS)
	$(PYTHON) -m venv $(FLOORS)
	grep -v '^torch==' constraints-min.txt > $(FLOORS)/constraints.txt
	echo 'torch==$(TORCH)' >> $(FLOORS)/constraints.txt
	$(FLOORS)/bin/python $(PIP) -c $(FLOORS)/constraints.txt torch
	$(FLOORS)/bin/python $(PIP) -c $(FLOORS)/constraints.txt -e '.[fast,viz,diffusers,export,track]' $(TESTERS)
	@touch $@

test-floors: $(FLOORS)/.installed  ## run the tests at the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(FLOORS)/bin/python -m pytest -m "not slow" -n auto --dist loadscope

test-newest:  ## run the tests at the newest versions of everything but torch
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python $(PIP) torch$(if $(TORCH),==$(TORCH))
	$(NEWEST)/bin/python $(PIP) torch$(if $(TORCH),==$(TORCH)) -e '.[fast,viz,diffusers,export,track]' $(TESTERS)
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest -m "not slow" -n auto --dist loadscope

quality: $(STAMP)  ## lint, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/house.py

style: $(STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# In the same environment, beside its packages: they are installed when the pages are asked for, never by `make test`.
$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)  ## build docs/ into docs/_build/html; every cell of the tutorials runs (S2I_DOCS_RUN=0: none does)
	$(BIN)/python -m sphinx -W --keep-going --quiet -j auto docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

notebooks: $(DOCS)  ## the tutorials as notebooks, in docs/_build/notebooks
	$(BIN)/python docs/notebooks.py docs/_build/notebooks

bench: $(STAMP)  ## time the hot paths against their peers
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/encoding.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/parsing.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/storage.py
